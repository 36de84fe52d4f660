//! Values → bytes, once per dialect.

mod deflate;
mod frame;
pub mod json;
pub mod time;

pub use deflate::{Window, compressions};
pub use frame::{Frame, Opcode};
