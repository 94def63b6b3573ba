//! Makes things happen: the actor of each session, its hands, subscriptions and recovery.
