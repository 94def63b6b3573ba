use super::*;

fn shown(page: &str) -> String {
    markdown(page, &Url::parse("https://example.org/a/b?c").unwrap()).text
}

#[track_caller]
fn check(page: &str, expected: &str) {
    assert_eq!(shown(page), expected, "{page}");
}

#[test]
fn a_page_becomes_markdown() {
    check("<h1>One</h1>\n<p>Two\n  <b>three</b> four.</p><p>Five", "# One\n\nTwo **three** four.\n\nFive");
    check("a<br>b<hr>c", "a\nb\n\n---\n\nc");
    check("<ul><li>a<li>b<ul><li>c</ul></ul>d", "- a\n- b\n  - c\n\nd");
    check("<ol start=9><li>a</li><li><p>b</p><p>c</p></li></ol>", "9. a\n10. b\n\n   c");
    check("<blockquote>a<p>b</blockquote>c", "> a\n>\n> b\n\nc");
    check("<pre>a\n  b</pre>c", "```\na\n  b\n```\n\nc");
    check("x <code>a</code>, <i> </i><em>b</em>", "x `a`, *b*");
    check(
        "<table><tr><th>a</th><th>b</th></tr><tr><td><p>1</p></td><td>2<br>3</td></tr></table>",
        "| a | b |\n| --- | --- |\n| 1 | 2 3 |",
    );
}

#[test]
fn links_are_whole_and_lead_to_the_web() {
    check("<a href='../x y'>t</a>", "[t](https://example.org/x%20y)");
    check("<base href='//other.example/z/'><a href=w>t</a>", "[t](https://other.example/z/w)");
    check("<a href='?a=1&amp;b=2'>t</a>", "[t](https://example.org/a/b?a=1&b=2)");
    check("<img src=p.png alt=' a b '><img src=q.png>", "![a b](https://example.org/a/p.png)");
    for href in ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "#here", "http://["] {
        check(&format!("<a href='{href}'>t</a>"), "t");
    }
    check("<a href=x></a>b", "b");
}

#[test]
fn what_nests_without_end_is_read_in_bounds() {
    for tag in ["div", "b", "ul><li", "blockquote", "table><tr><td", "a href=x", "pre", "span hidden", "svg", "ol><li"]
    {
        let page = format!("<{tag}>x").repeat(if tag == "div" { 100_000 } else { 20_000 });
        let shown = shown(&page);
        assert!(shown.len() <= SHOWN + 4_096, "{tag}: {}", shown.len());
    }
    let ends = "</div></b></li></table>".repeat(100_000);
    check(&format!("a{ends}b"), "a\n\nb");
}

#[test]
fn a_long_base_does_not_multiply_what_is_shown() {
    let base = format!("<base href='/{}/'>", "x".repeat(2_000));
    let page = base + &"<a href=y>z</a>".repeat(100_000);
    assert!(shown(&page).len() <= SHOWN + 4_096);
}

#[test]
fn a_title_is_no_part_of_the_text() {
    let page = markdown("<head><title>A &amp;\n B</title></head>c", &Url::parse("https://example.org/").unwrap());
    assert_eq!(page, Shown { title: "A & B".to_owned(), text: "c".to_owned() });
}

#[test]
fn a_page_that_is_torn_anywhere_is_read() {
    const PAGE: &str = "<!DOCTYPE html><head><title>ä&amp;</title><base href='/ü/'></head><script>if (a</b) {}</script>\
        <body><h2 class=x>H&eacute;&#x1F980;</h2><p hidden>no</p><!-- ünseen --><ul><li>a<li><a href=\"b?c=d&amp;e\">é</a></ul>\
        <ol start=3><li><p>x<blockquote>q<pre>  y\n z</pre></blockquote></ol><table><tr><th>1<th>2<tr><td>3<td>4</table>\
        <img alt='ï' src=//x/y><b><i></b></i>&notreal; &#xFFFFFFFF; & <<a>< /p></ q><br/><svg><svg/></svg>end";
    for (at, _) in PAGE.char_indices() {
        shown(&PAGE[..at]);
        shown(&PAGE[at..]);
        shown(&format!("{}{}", &PAGE[at..], &PAGE[..at]));
    }
    let whole = shown(PAGE);
    assert!(whole.starts_with("## Hé🦀\n\n- a\n- [é](https://example.org/%C3%BC/b?c=d&e)\n\n3. x\n"), "{whole}");
    assert!(
        !whole.contains("no\n") && !whole.contains("seen") && whole.contains("| 1 | 2 |\n| --- | --- |\n| 3 | 4 |"),
        "{whole}"
    );
}
