//! Challenges of servers, and what answers them: digest and NTLM. (Basic needs no challenge.)

use std::time::SystemTime;

use senary_net::http::Headers;
use senary_net::http::auth::{Credentials, digest, ntlm};

use super::request::Auth;
use crate::go_url::User;

/// The request that was challenged.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub method: &'a str,
    /// With the query.
    pub path: &'a str,
    pub body: &'a [u8],
}

/// How far the dialogue with a server has got.
#[derive(Debug, Default)]
pub struct Challenges {
    answered: usize,
}

/// What is sent next.
pub struct Answer {
    pub authorization: String,
    /// The server is going to ask again.
    pub expects_challenge: bool,
}

impl Challenges {
    /// The answer to a response with status 401; `None` if no further attempt is possible.
    pub fn answer(
        &mut self,
        auth: Auth,
        user: &User,
        headers: &Headers,
        asked: &Asked<'_>,
    ) -> Option<Answer> {
        self.answered += 1;
        let challenges = headers.all("www-authenticate");
        let password = user.password.as_deref().unwrap_or_default();
        let credentials = Credentials { user: &user.name, password };
        let (authorization, expects_challenge) = match (auth, self.answered) {
            (Auth::Digest, 1) => {
                let nonce: String = random::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
                let Asked { method, path, body } = *asked;
                let request = digest::Request { method, path, body };
                (digest::answer(challenges, credentials, request, &nonce, 1)?, false)
            }
            (Auth::Ntlm, 1) => (ntlm::negotiate(challenges)?, true),
            (Auth::Ntlm, 2) => {
                let moment = ntlm::Moment { client_challenge: random(), now: SystemTime::now() };
                (ntlm::authenticate(challenges, credentials, moment)?, false)
            }
            _ => return None,
        };
        Some(Answer { authorization, expects_challenge })
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without random numbers nothing else would work either.
    let _ = getrandom::fill(&mut bytes);
    bytes
}
