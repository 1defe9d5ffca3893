//! `pushbell open`: the page, in the browser.

use std::io::Write;

use super::{Context, Failure};
use crate::{
    control::{AskError, Reply, Request, Section},
    platform::open::{browser_available, open_in_browser},
};

pub(super) fn run(context: &Context, section: Section, out: &mut dyn Write) -> Result<(), Failure> {
    let Reply::Page { address } = context.ask(&Request::OpenPage { section })? else {
        return Err(AskError::unexpected().into());
    };
    let opened = if browser_available() {
        let runtime = super::runtime()?;
        runtime.block_on(open_in_browser(&address)).is_ok()
    } else {
        false
    };
    if opened {
        return Ok(writeln!(out, "Your browser opens.")?);
    }
    writeln!(
        out,
        "Open this address in a browser on this computer, within two minutes; it is good once:\n\n    {address}"
    )?;
    Ok(())
}
