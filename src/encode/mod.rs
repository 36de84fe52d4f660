//! Values → bytes, once per dialect.

mod frame;

pub use frame::{Frame, Opcode};
