use super::*;

fn own(text: &str) -> Result<Catalogue, String> {
    Catalogue::built_in().with(text, "models.yaml").map_err(|error| error.to_string())
}

#[test]
fn the_built_in_list_can_be_read_and_knows_what_is_taken_by_default() {
    assert!(read(include_str!("../catalogue.yaml"), "catalogue.yaml").is_ok_and(|list| list.len() > 30));
    let known = Catalogue::built_in();
    for model in ["anthropic/claude-sonnet-4-5", "openai/gpt-5", "gemini/gemini-flash-latest"] {
        let entry = known.entry(model);
        assert!(entry.prices.is_some() && entry.context_window.is_some(), "{model}: {entry:?}");
    }
    assert_eq!(known.prices("ollama/qwen3"), Some(Prices::default()));
    assert_eq!(known.entry("openai/never-heard-of"), Entry::default());
}

#[test]
fn dated_names_are_found_and_other_models_of_the_family_are_not() {
    let known = Catalogue::built_in();
    let check = |model: &str, like: Option<&str>| {
        assert_eq!(known.prices(model), like.and_then(|like| known.prices(like)), "{model}");
    };
    check("anthropic/claude-sonnet-4-5-20250929", Some("anthropic/claude-sonnet-4-5"));
    check("openai/gpt-5-2025-08-07", Some("openai/gpt-5"));
    check("openai_responses/gpt-5-2025-08-07", Some("openai/gpt-5"));
    check("openai/gpt-5-hyper", None);
    check("openai/gpt-4o-mini-2024-07-18", Some("openai/gpt-4o-mini"));
    assert_ne!(known.prices("openai/gpt-5-mini"), known.prices("openai/gpt-5"));
}

#[test]
fn the_longest_match_wins_and_an_own_list_says_only_what_it_changes() {
    let text = "models:\n  openai/gpt-5*: {price: {input: 1, output: 2}}\n  openai/gpt-5-x*: {context_window: 7}\n  \
                openai/gpt-5-xy: {max_output_tokens: 9}\n  ollama/qwen3: {context_window: 32768}\n";
    let known = own(text).unwrap();
    assert_eq!(known.entry("openai/gpt-5-xy").max_output_tokens, Some(9));
    assert_eq!(known.entry("openai/gpt-5-xz").context_window, Some(7));
    let gpt = known.entry("openai/gpt-5");
    assert_eq!(gpt.prices.map(|prices| (prices.input, prices.cache_read)), Some((1_000_000_000, 1_000_000_000)));
    assert_eq!(gpt.context_window, Some(400_000), "what the own list does not say stays");
    let qwen = known.entry("ollama/qwen3");
    assert_eq!((qwen.context_window, qwen.prices), (Some(32_768), Some(Prices::default())));
}

#[test]
fn a_large_request_has_prices_of_its_own() {
    let at = |model: &str, tokens| {
        let prices = Catalogue::built_in().prices(model).unwrap().at(tokens);
        [prices.input, prices.output, prices.cache_read, prices.cache_write].map(|nano| nano as f64 / 1e9)
    };
    for model in ["gemini/gemini-2.5-pro", "openrouter/google/gemini-2.5-pro"] {
        assert_eq!(at(model, 200_000), [1.25, 10.0, 0.125, 1.25], "{model}");
        assert_eq!(at(model, 200_001), [2.5, 15.0, 0.25, 2.5], "{model}");
    }
    let sonnet = "anthropic/claude-sonnet-4-6";
    assert_eq!(at(sonnet, 1_000), at(sonnet, 900_000));
}

#[test]
fn an_own_list_without_anything_in_it_changes_nothing() {
    for text in ["", "# nothing yet\n", "models: {}\n"] {
        let known = own(text).unwrap();
        assert_eq!(known.entry("openai/gpt-5"), Catalogue::built_in().entry("openai/gpt-5"), "{text:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    let check = |text: &str, expected: &str| {
        let error = own(text).unwrap_err();
        assert!(error.starts_with(expected), "{text:?}\n{error}");
    };
    let model = |rest: &str| format!("models:\n  openai/gpt-4.1:\n    {rest}\n");
    check(&model("contxt_window: 1"), "models.yaml:3:5: unknown key `contxt_window`: the nearest is `context_window`");
    check(
        &model("context_window: 0"),
        "models.yaml:3:5: models.openai/gpt-4.1.context_window: is 1 to 100000000 tokens",
    );
    check(&model("context_window: many"), "models.yaml:3:21: ");
    check(&model("price: {input: 1}"), "models.yaml:3:");
    let price = "is 0 to 10000 US dollars for a million tokens, not ";
    check(
        &model("price: {input: -1, output: 1}"),
        &format!("models.yaml:3:13: models.openai/gpt-4.1.price.input: {price}-1"),
    );
    check(
        &model("price: {input: 1, output: 99999}"),
        &format!("models.yaml:3:23: models.openai/gpt-4.1.price.output: {price}99999"),
    );
    check(
        &model("price: {input: 1, output: .nan}"),
        &format!("models.yaml:3:23: models.openai/gpt-4.1.price.output: {price}NaN"),
    );
    check(
        &model("price: {input: 1, output: 1, above: {tokens: 0, input: 1, output: 1}}"),
        "models.yaml:3:42: models.openai/gpt-4.1.price.above.tokens: is 1 to 100000000 tokens",
    );
    check(
        &model("price: {input: 1, output: 1, above: {tokens: 1, input: 1, output: -1}}"),
        &format!("models.yaml:3:63: models.openai/gpt-4.1.price.above.output: {price}-1"),
    );
    check(&model("capabilities: [imges]"), "models.yaml:3:20: unknown value `imges`: the nearest is `images`");
    check("models:\n  gpt-5: {}\n", "models.yaml:2:3: models.gpt-5: a model is named `PROVIDER/NAME`");
    check("models:\n  openai/*x: {}\n", "models.yaml:2:3: models.openai/*x: a model is named");
    check(
        "models:\n  opnai/gpt-5: {}\n",
        "models.yaml:2:3: models.opnai/gpt-5: provider `opnai` is not known: the nearest is `openai`",
    );
    check("modles: {}\n", "models.yaml:1:1: unknown key `modles`: the nearest is `models`");
    check("- openai/gpt-5\n", "models.yaml:1:1: ");
}
