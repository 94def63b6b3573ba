//! The words on SQLite, from outside of their thread.

use super::table::Table;
use super::text::Asked;
use super::{Catching, Found, Search, SearchQuery, find};
use crate::follow::Following;
use crate::{Pending, StoreError};

/// The words of all messages, on SQLite.
pub(crate) type Words = Following<Table>;

impl Search for Words {
    fn find(&self, query: SearchQuery) -> Pending<'_, Result<Found, StoreError>> {
        Box::pin(async move {
            let asked = Asked::read(&query.text)?;
            let (found, behind) = self.ask(move |table| find::find(&table.connection, &asked, &query)).await?;
            Ok(Found { behind, ..found })
        })
    }

    fn catching(&self) -> Pending<'_, Result<Catching, StoreError>> {
        Box::pin(Following::catching(self))
    }

    fn begin_anew(&self) -> Pending<'_, Result<Catching, StoreError>> {
        Box::pin(Following::begin_anew(self))
    }
}
