#![forbid(unsafe_code)]
//! phisync
