//! What a person types about notices.

use clap::Subcommand;
use outlive_core::id::NoticeId;

use super::{id, session_id};

/// What to do about what people are told outside of any client.
#[derive(Debug, Subcommand)]
pub enum Notice {
    /// List what has not arrived: the next to be tried first, last what is given up
    List {
        /// Only of this session
        #[arg(long, value_parser = session_id)]
        session: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List who is told of what
    Targets {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell somebody, now, that nothing has happened
    Test {
        /// Who, as `notify` in outlive.yaml names them
        #[arg(value_parser = target)]
        target: String,
    },
    /// Try a notice once more, from now on as if it were new
    Retry {
        /// Which
        #[arg(value_parser = id::<NoticeId>)]
        notice: String,
    },
    /// Tell nobody
    Drop {
        /// Which
        #[arg(value_parser = id::<NoticeId>)]
        notice: String,
    },
}

fn target(text: &str) -> Result<String, String> {
    crate::config::notify::check_name(text).map(|()| text.to_owned())
}
