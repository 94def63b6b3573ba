//! The shares of questions whose answer is found, in two made worlds: `outlive bench memory` shows them, this holds them.

use outlive_store::conformance::facts::{Facts, facts};
use outlive_store::conformance::paraphrased::paraphrased;
use outlive_store::conformance::recalling::{Quality, fill, quality};

use super::open;

const SEED: u64 = 5;
const ROWS: usize = 5_000;

/// Of the questions one in so many is asked here.
const ONE_IN: usize = 4;

async fn measured(world: Facts) -> Quality {
    let root = tempfile::tempdir().unwrap();
    let (store, files) = open(root.path());
    let world = Facts { asked: world.asked.into_iter().step_by(ONE_IN).collect(), ..world };
    fill(&store, &world).await;
    let quality = quality(&store, &world).await;
    files.close();
    quality
}

#[tokio::test]
async fn answers_are_found_more_often_than_by_words_alone_and_the_newest_fact_comes_first() {
    let quality = measured(facts(SEED, ROWS)).await;
    assert!(quality.found >= 1.25 * quality.or && quality.found >= 0.55, "{quality:?}");
    assert!(quality.newest >= 0.95 && quality.changed > 20, "{quality:?}");
}

#[tokio::test]
async fn questions_that_nobody_fitted_to_anything_are_answered_too() {
    let quality = measured(paraphrased(SEED, ROWS)).await;
    assert!(quality.without_kin >= 1.25 * quality.or && quality.found >= 0.60, "{quality:?}");
    assert!(quality.found + 0.05 >= quality.without_kin, "words that mean the same cost little: {quality:?}");
    assert!(quality.newest >= 0.95 && quality.changed > 20, "{quality:?}");
}
