//! Limits on files, functions, parameters, fields, methods and nesting.

use syn::visit::{self, Visit};

use crate::tree::{Source, is_test, lines, product};

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;
const PARAMETERS: usize = 5;
const FIELDS: usize = 12;
const METHODS: usize = 8;
const NESTING: usize = 4;

struct Measure<'a> {
    path: &'a str,
    depth: usize,
    /// Whether this is a trait's, for some type.
    of_trait: bool,
    breaches: Vec<String>,
}

impl Measure<'_> {
    fn limit(&mut self, line: usize, what: &str, (found, limit): (usize, usize)) {
        if found > limit {
            self.breaches.push(format!("{}:{line}: {what}: {found}, limit {limit}", self.path));
        }
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let name = &signature.ident;
        let first = lines(signature).0;
        let last = lines(block).0 + lines(block).1;
        self.limit(first, &format!("lines of `{name}`"), (last - first, FUNCTION_LINES));
    }

    fn signature(&mut self, signature: &syn::Signature) {
        let what = format!("parameters of `{}`", signature.ident);
        self.limit(lines(signature).0, &what, (signature.inputs.len(), PARAMETERS));
    }

    /// Goes one level deeper into a branch or a loop.
    fn deeper(&mut self, line: usize, visit: impl FnOnce(&mut Self)) {
        self.depth += 1;
        // Told once, where the limit is crossed.
        if self.depth == NESTING + 1 {
            self.limit(line, "nesting", (self.depth, NESTING));
        }
        visit(self);
        self.depth -= 1;
    }

    /// Begins anew: what is nested in another function is a function of its own.
    fn afresh(&mut self, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::take(&mut self.depth);
        visit(self);
        self.depth = outer;
    }
}

impl<'ast> Visit<'ast> for Measure<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.sig, &item.block);
            self.afresh(|measure| visit::visit_item_fn(measure, item));
        }
    }

    /// Whose functions are a trait's has its parameters from there: they are counted where the trait is ours.
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of_trait = std::mem::replace(&mut self.of_trait, item.trait_.is_some());
        visit::visit_item_impl(self, item);
        self.of_trait = of_trait;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.sig, &item.block);
            self.afresh(|measure| visit::visit_impl_item_fn(measure, item));
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        self.afresh(|measure| visit::visit_trait_item_fn(measure, item));
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if !self.of_trait {
            self.signature(signature);
        }
        visit::visit_signature(self, signature);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        let what = format!("fields of `{}`", item.ident);
        self.limit(lines(&item.ident).0, &what, (item.fields.len(), FIELDS));
    }

    fn visit_variant(&mut self, item: &'ast syn::Variant) {
        let what = format!("fields of `{}`", item.ident);
        self.limit(lines(&item.ident).0, &what, (item.fields.len(), FIELDS));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        let methods = item.items.iter().filter(|item| matches!(item, syn::TraitItem::Fn(_))).count();
        self.limit(lines(&item.ident).0, &format!("methods of `{}`", item.ident), (methods, METHODS));
        visit::visit_item_trait(self, item);
    }

    fn visit_expr_if(&mut self, item: &'ast syn::ExprIf) {
        self.visit_expr(&item.cond);
        self.deeper(lines(item).0, |measure| measure.visit_block(&item.then_branch));
        match item.else_branch.as_ref().map(|(_, branch)| branch.as_ref()) {
            // `else if` is beside, not below.
            Some(syn::Expr::If(next)) => self.visit_expr_if(next),
            Some(branch) => self.deeper(lines(branch).0, |measure| measure.visit_expr(branch)),
            None => {}
        }
    }

    fn visit_expr_match(&mut self, item: &'ast syn::ExprMatch) {
        self.deeper(lines(item).0, |measure| visit::visit_expr_match(measure, item));
    }

    fn visit_expr_for_loop(&mut self, item: &'ast syn::ExprForLoop) {
        self.deeper(lines(item).0, |measure| visit::visit_expr_for_loop(measure, item));
    }

    fn visit_expr_while(&mut self, item: &'ast syn::ExprWhile) {
        self.deeper(lines(item).0, |measure| visit::visit_expr_while(measure, item));
    }

    fn visit_expr_loop(&mut self, item: &'ast syn::ExprLoop) {
        self.deeper(lines(item).0, |measure| visit::visit_expr_loop(measure, item));
    }
}

/// Lines of a file without those of its tests.
fn file_lines(text: &str, syntax: &syn::File) -> usize {
    let tests = syntax.items.iter().map(|item| match item {
        syn::Item::Mod(item) if is_test(&item.attrs) => lines(item).1,
        _ => 0,
    });
    text.lines().count() - tests.sum::<usize>()
}

fn measure(source: &Source) -> Vec<String> {
    let mut measure = Measure { path: &source.path, depth: 0, of_trait: false, breaches: Vec::new() };
    measure.limit(1, "lines of the file", (file_lines(&source.text, &source.syntax), FILE_LINES));
    measure.visit_file(&source.syntax);
    measure.breaches
}

#[test]
fn nothing_is_larger_than_the_house_allows() {
    let breaches: Vec<String> = product().iter().flat_map(measure).collect();
    crate::check("sizes", &breaches);
}

#[test]
fn the_measure_sees_what_is_too_large() {
    let text = format!(
        "struct S {{ {fields} }}\ntrait T {{ {methods} }}\nfn f({parameters}) {{ if a {{ for b in c {{ match d {{ _ => \
         while e {{ loop {{}} }} }} }} }} else if g {{ }} }}\nfn long() {{{lines}}}\nimpl A {{ \
         fn own({parameters}) {{}} }} impl B for A {{ fn given({parameters}) {{}} }}\n#[cfg(test)]\nmod tests {{{lines}}}\n",
        fields = (0..13).map(|n| format!("f{n}: u8,")).collect::<String>(),
        methods = (0..9).map(|n| format!("fn m{n}();")).collect::<String>(),
        parameters = (0..6).map(|n| format!("p{n}: u8,")).collect::<String>(),
        lines = "\n".repeat(70),
    );
    let source = Source { path: "x.rs".to_owned(), syntax: syn::parse_file(&text).unwrap(), text };
    assert_eq!(
        measure(&source),
        [
            "x.rs:1: fields of `S`: 13, limit 12",
            "x.rs:2: methods of `T`: 9, limit 8",
            "x.rs:3: parameters of `f`: 6, limit 5",
            "x.rs:3: nesting: 5, limit 4",
            "x.rs:4: lines of `long`: 71, limit 70",
            "x.rs:75: parameters of `own`: 6, limit 5",
        ]
    );
    assert_eq!(file_lines(&source.text, &source.syntax), 75);
}
