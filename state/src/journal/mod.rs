//! The journal: records in order, framed into batches, chained by hash.
//!
//! Read [`record`] for a record's line, [`frame`] for the lines around a batch. Nothing here
//! knows what an event means, and nothing here waits for anybody: threads are the backend's.

pub(crate) mod frame;
pub(crate) mod record;
