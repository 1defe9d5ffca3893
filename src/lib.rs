//! Pushbell: a Matrix http pusher's endpoint on the desktop itself.

pub mod accounts;
pub mod app;
pub mod cli;
pub mod config;
pub mod control;
pub mod desktop;
pub mod http;
pub mod identity;
pub mod inbox;
pub mod logging;
pub mod notice;
pub mod paths;
pub mod platform;
pub mod push;
