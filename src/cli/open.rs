//! `pushbell open`: the page, in the browser.

use std::io::Write;

use super::{Context, Failure, block_on};
use crate::{
    control::{AskError, Reply, Request, Section},
    platform::open::{browser_available, open_in_browser},
};

pub(super) fn run(context: &Context, section: Section, out: &mut dyn Write) -> Result<(), Failure> {
    let Reply::Page { address } = context.ask(&Request::OpenPage { section })? else {
        return Err(AskError::unexpected().into());
    };
    if browser_available() && block_on(async { Ok(open_in_browser(&address).await.is_ok()) })? {
        return Ok(writeln!(out, "Your browser opens.")?);
    }
    writeln!(
        out,
        "Open this address in a browser on this computer, within two minutes; it is good once:\n\n    {address}"
    )?;
    Ok(())
}
