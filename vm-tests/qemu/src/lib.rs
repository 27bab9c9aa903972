//! What only a boot can prove: a real firmware, boot loader, kernel, systemd and Nix in a virtual machine.

mod accelerator;
pub mod claims;
mod container;
pub mod demo;
mod guest;
mod image;
mod loaders;
mod machine;
pub mod matrix;
mod qmp;
mod roots;
mod server;
mod shell;
mod story;
mod suite;
pub mod tree;
