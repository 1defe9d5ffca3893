//! A CAS server: the simplest single sign-on that Synapse supports.

use hyper::StatusCode;

use super::{Answer, ParsedRequest, USER, World};

const TICKET: &str = "ST-1-of-alice";

pub(super) fn login(asked: &ParsedRequest, world: &World) -> Answer {
    let Some(service) = asked.query.get("service") else { return Answer::error("no service") };
    let ticket = if world.plan.consents { TICKET } else { "ST-2-of-nobody" };
    Answer::redirect(format!("{service}&ticket={ticket}"))
}

pub(super) fn validate(asked: &ParsedRequest) -> Answer {
    let inside = if asked.query.get("ticket").is_some_and(|ticket| ticket == TICKET) {
        format!("<cas:authenticationSuccess><cas:user>{USER}</cas:user></cas:authenticationSuccess>")
    } else {
        "<cas:authenticationFailure code=\"INVALID_TICKET\">No</cas:authenticationFailure>".to_owned()
    };
    let body = format!("<cas:serviceResponse xmlns:cas=\"http://www.yale.edu/tp/cas\">{inside}</cas:serviceResponse>");
    Answer(StatusCode::OK, None, body)
}
