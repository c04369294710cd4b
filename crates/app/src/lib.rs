//! placeholder

pub mod batch;
