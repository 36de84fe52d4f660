//! Values → bytes, once per dialect.

mod deflate;
mod frame;
pub mod json;

pub use deflate::{Window, compressions};
pub use frame::{Frame, Opcode};
