use super::*;

/// A dollar for a million tokens of input, ten for one of output.
const PRICES: Prices = Prices {
    input: 1_000_000_000,
    output: 10_000_000_000,
    cache_read: 100_000_000,
    cache_write: 1_000_000_000,
    above: None,
};

fn need(input_tokens: u64, output_tokens: u32) -> Need<'static> {
    Need { model: "p/m", prices: Some(PRICES), input_tokens, output_tokens }
}

fn purse(limits: Limits, used: Usage) -> Purse {
    Purse { scope: Scope::Turn, limits, used }
}

fn tokens(limit: u64, used: u64) -> Purse {
    let used = Usage { input_tokens: used, ..Usage::default() };
    purse(Limits { tokens: Some(limit), ..Limits::default() }, used)
}

fn usd(limit: u64, used: u64) -> Purse {
    let used = Usage { cost_nano_usd: used, ..Usage::default() };
    purse(Limits { nano_usd: Some(limit), ..Limits::default() }, used)
}

fn steps(limit: u64, used: u64) -> Purse {
    purse(Limits { steps: Some(limit), ..Limits::default() }, Usage { steps: used, ..Usage::default() })
}

/// Checks how much of a reply of 1,000 tokens to 500 tokens of input is granted.
fn check(purse: Purse, room: Option<u32>) {
    let granted = grant(&[purse], &need(500, 1_000)).map(|grant| grant.most.output_tokens);
    assert_eq!(granted.ok(), room.map(u64::from), "{purse:?}");
}

#[test]
fn a_step_is_granted_only_as_far_as_its_worst_case_fits() {
    check(purse(Limits::default(), Usage::default()), Some(1_000));
    // 500 in and 1,000 out are 1,500 tokens.
    check(tokens(1_500, 0), Some(1_000));
    check(tokens(1_499, 0), Some(999));
    check(tokens(10_000, 8_500), Some(1_000));
    check(tokens(10_000, 9_244), Some(256));
    check(tokens(10_000, 9_245), None);
    check(tokens(10_000, 12_000), None);
    // 500 in cost 500,000, 1,000 out cost 10,000,000.
    check(usd(10_500_000, 0), Some(1_000));
    check(usd(10_499_999, 0), Some(999));
    check(usd(13_060_000, 10_000_000), Some(256));
    check(usd(13_059_999, 10_000_000), None);
    check(usd(400_000, 0), None);
    check(usd(1, 2), None);
    check(steps(3, 2), Some(1_000));
    check(steps(3, 3), None);
    check(steps(3, 4), None);
}

#[test]
fn the_tightest_purse_decides_and_is_named() {
    let session = Purse { scope: Scope::Session, ..usd(3_500_000, 0) };
    let granted = grant(&[tokens(1_400, 0), session, steps(9, 0)], &need(500, 1_000)).unwrap();
    let expected = Capped { max_output_tokens: 300, scope: Scope::Session, unit: Unit::Usd };
    assert_eq!(granted.capped, Some(expected));
    let most = Usage {
        input_tokens: 500,
        output_tokens: 300,
        cost_nano_usd: 3_500_000,
        steps: 1,
        priced_steps: 1,
        ..Usage::default()
    };
    assert_eq!(granted.most, most);
}

#[test]
fn an_agent_that_wants_less_than_the_least_gets_what_it_wants() {
    let small = |limit| grant(&[tokens(limit, 0)], &need(500, 16)).map(|grant| grant.most.output_tokens).ok();
    assert_eq!((small(516), small(515)), (Some(16), None));
}

#[test]
fn what_is_refused_says_which_budget_what_was_used_and_the_way_on() {
    let check = |purse: Purse, expected: &str| {
        let error = grant(&[purse], &need(500, 1_000)).unwrap_err();
        assert_eq!((error.code.as_str(), error.message.as_str()), ("budget_exceeded", expected));
    };
    check(
        tokens(10_000, 9_900),
        "the budget of the turn does not last for another step: 9900 of 10000 tokens used, and the next step may take 756; \
         send a message to go on in a new turn, or raise `spec.budget.turn.tokens` in agent.yaml",
    );
    check(
        Purse { scope: Scope::Day, ..usd(1_000_000_000, 998_000_000) },
        "the budget of the agent's day does not last for another step: $0.9980 of $1.0000 used, and the next step may take \
         $0.003060; go on after midnight UTC, or raise `spec.budget.day.usd` in agent.yaml",
    );
    check(
        Purse { scope: Scope::Session, ..steps(5, 5) },
        "the budget of the session does not last for another step: 5 of 5 steps used, and the next step may take 1; go on \
         in a new session, or raise `spec.budget.session.steps` in agent.yaml",
    );
}

#[test]
fn a_budget_in_dollars_needs_a_price_and_one_in_tokens_does_not() {
    let unknown = Need { prices: None, ..need(500, 1_000) };
    let error = grant(&[usd(1, 0)], &unknown).unwrap_err();
    assert!(error.code == "price_unknown" && error.message.contains("`p/m`"), "{error:?}");
    let granted = grant(&[tokens(1_500, 0)], &unknown).unwrap();
    assert_eq!((granted.most.cost_nano_usd, granted.most.priced_steps), (0, 0));
    let free = Need { prices: Some(Prices::default()), ..need(500, 1_000) };
    assert!(grant(&[usd(1, 0)], &free).is_ok(), "what is free fits in any budget");
}

#[test]
fn nothing_overflows() {
    let huge = Usage {
        input_tokens: u64::MAX,
        output_tokens: u64::MAX,
        cost_nano_usd: u64::MAX,
        steps: u64::MAX,
        ..Usage::default()
    };
    let limits = Limits { tokens: Some(u64::MAX), nano_usd: Some(u64::MAX), steps: Some(u64::MAX) };
    let need = Need { input_tokens: input_at_most(u64::MAX), output_tokens: u32::MAX, ..need(0, 0) };
    assert!(grant(&[purse(limits, huge)], &need).is_err());
    assert!(grant(&[purse(limits, Usage::default())], &need).is_err());
}

#[test]
fn what_people_write_is_checked() {
    let read = |text: &str| crate::yaml::read::<BudgetSpec>(text, "b").unwrap().budget();
    let budget = read("{turn: {usd: 0.5}, session: {tokens: 7}, day: {steps: 3}}").unwrap();
    assert_eq!((budget.turn.nano_usd, budget.session.tokens, budget.day.steps), (Some(500_000_000), Some(7), Some(3)));
    let check = |text: &str, path: &str| assert_eq!(read(text).unwrap_err().0, path, "{text}");
    check("{turn: {tokens: 0}}", "turn.tokens");
    check("{session: {steps: 0}}", "session.steps");
    check("{day: {usd: 0}}", "day.usd");
    check("{day: {usd: -1}}", "day.usd");
    check("{day: {usd: .nan}}", "day.usd");
    check("{day: {usd: .inf}}", "day.usd");
}
