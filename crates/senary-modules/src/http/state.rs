//! What the module keeps for each VU: its client with the connections, its cookie jar, its response callback.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use rquickjs::Ctx;
use senary_js::live::{Live, LiveId};
use senary_js::settings::HttpDebug;
use senary_js::userdata;
use senary_js::vu::core::{VuCore, vu_of};
use senary_net::http::{Headers as WireHeaders, HttpClient, HttpOptions};

use super::books::KnownSeries;
use super::destination::Destinations;
use super::header;
use super::jar::CookieJar;
use super::pace::Pace;
use super::request::Headers;
use super::statuses::Statuses;

/// What the module shares among all VUs of a test.
#[derive(Clone, Default)]
pub struct HttpShared {
    pub pace: Arc<Pace>,
}

userdata!(HttpShared);

impl HttpShared {
    pub fn install(&self, ctx: &Ctx<'_>) {
        // Fails only while userdata is being read, which nobody does here.
        let _ = ctx.store_userdata(self.clone());
    }
}

pub struct HttpState {
    vu: Weak<VuCore>,
    pub pace: Arc<Pace>,
    /// Made for the first request, and closed with the VU.
    client: OnceCell<HttpClient>,
    jar: RefCell<Rc<CookieJar>>,
    callback: RefCell<Option<Rc<Statuses>>>,
    pub destinations: Destinations,
    pub series: KnownSeries,
    /// What is sent with every request if a script says nothing.
    plain_headers: OnceCell<Rc<Headers>>,
    plain_wire: OnceCell<Option<Rc<WireHeaders>>>,
    /// The run of script that the jar belongs to.
    run: Cell<Option<u64>>,
    id: Cell<Option<LiveId>>,
}

/// The state in the userdata of a context.
struct Handle(Rc<HttpState>);

userdata!(Handle);

impl HttpState {
    /// The state of the VU that a context belongs to. It is made when it is first asked for, and ready for the run that is under way.
    pub fn of(ctx: &Ctx<'_>) -> rquickjs::Result<Rc<Self>> {
        let vu = vu_of(ctx)?;
        let known = ctx.userdata::<Handle>().map(|handle| handle.0.clone());
        let state = match known {
            Some(state) => state,
            None => {
                let pace = ctx.userdata::<HttpShared>().map(|shared| shared.pace.clone());
                let state = Rc::new(Self {
                    vu: Rc::downgrade(&vu),
                    pace: pace.unwrap_or_default(),
                    client: OnceCell::new(),
                    jar: RefCell::default(),
                    callback: RefCell::new(Some(Rc::default())),
                    destinations: Destinations::default(),
                    series: KnownSeries::default(),
                    plain_headers: OnceCell::new(),
                    plain_wire: OnceCell::new(),
                    run: Cell::new(None),
                    id: Cell::new(None),
                });
                let _ = ctx.store_userdata(Handle(state.clone()));
                state
            }
        };
        state.begin_run(&vu);
        Ok(state)
    }

    /// The jar of the VU; a new one in each iteration, unless `noCookiesReset` says otherwise.
    pub fn jar(&self) -> Rc<CookieJar> {
        self.jar.borrow().clone()
    }

    pub fn callback(&self) -> Option<Rc<Statuses>> {
        self.callback.borrow().clone()
    }

    pub fn set_callback(&self, callback: Option<Rc<Statuses>>) {
        self.callback.replace(callback);
    }

    pub fn plain_headers(&self, vu: &VuCore) -> Rc<Headers> {
        let agent = || match vu.settings.user_agent.as_str() {
            "" => Rc::default(),
            agent => Rc::new(vec![(header::USER_AGENT.to_owned(), agent.to_owned())]),
        };
        self.plain_headers.get_or_init(agent).clone()
    }

    /// The same for the wire, if that is what `headers` are, and if they can be sent.
    pub fn plain_wire_headers(&self, headers: &Rc<Headers>) -> Option<Rc<WireHeaders>> {
        let plain = self.plain_headers.get().filter(|plain| Rc::ptr_eq(plain, headers))?;
        let is_valid = |(name, value): &(String, String)| header::refusal(name, value).is_none();
        let make = || {
            plain
                .iter()
                .all(is_valid)
                .then(|| Rc::new(plain.iter().map(|(name, value)| (name, value)).collect()))
        };
        self.plain_wire.get_or_init(make).clone()
    }

    pub fn client(&self, vu: &VuCore) -> &HttpClient {
        self.client.get_or_init(|| {
            let http = &vu.settings.http;
            let options = HttpOptions {
                no_connection_reuse: http.no_connection_reuse,
                max_idle_per_host: http.batch_per_host.max(1),
                keep_heads: http.debug != HttpDebug::Off,
                proxies: http.proxies.clone(),
                ..HttpOptions::default()
            };
            let local_ip = vu.settings.local_ips.as_ref().and_then(|ips| ips.of_vu(vu.id.in_instance));
            HttpClient::new(vu.settings.dialer.clone(), Arc::new(options), local_ip)
        })
    }

    /// Adds the bytes that have moved since the last call to those of the VU.
    pub fn count_bytes(&self, vu: &VuCore) {
        if let Some(client) = self.client.get() {
            let (sent, received) = client.wire().take();
            vu.data_sent.set(vu.data_sent.get() + sent);
            vu.data_received.set(vu.data_received.get() + received);
        }
    }

    fn begin_run(self: &Rc<Self>, vu: &Rc<VuCore>) {
        let run = vu.events.run();
        if run.is_none() || self.run.get() == run {
            return;
        }
        self.run.set(run);
        if !vu.settings.http.no_cookies_reset {
            self.jar.take();
        }
        if self.id.get().is_none() {
            let id = vu.events.new_live_id();
            self.id.set(Some(id));
            vu.events.residents.keep(id, self.clone());
        }
    }
}

/// The connections outlive the iterations of their VU.
impl Live for HttpState {
    fn deliver(self: Rc<Self>, _: &Ctx<'_>) -> rquickjs::Result<()> {
        Ok(())
    }

    fn discard(&self) {}

    fn wake(&self) {}

    fn describe(&self) -> String {
        "HTTP connections are kept".to_owned()
    }

    fn traffic(&self) -> String {
        self.describe()
    }

    fn waits_for_peer(&self) -> bool {
        false
    }

    fn run_ended(&self) {
        let Some(vu) = self.vu.upgrade() else { return };
        if vu.settings.http.no_vu_connection_reuse
            && let Some(client) = self.client.get()
        {
            client.close_idle();
        }
        self.count_bytes(&vu);
    }

    fn abandon(&self) {
        if let Some(client) = self.client.get() {
            client.close_idle();
        }
        if let Some(vu) = self.vu.upgrade() {
            self.count_bytes(&vu);
        }
    }
}
