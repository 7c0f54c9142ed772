//! An authority, its members, and servers that know them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use identity::request::Occasion;
use identity::token::{Secret, Token};
use identity::{Application, Authority, Certified, Credentials, Member, Time};
use protocol::Timestamp;
use store::{Clock, ManualClock, SystemClock};
use transport::Security;
use transport::server::Settings;
use transport::server::security::{Connections, Refused, Roster, Tls};

use crate::ward::{DEADLINE, Ward};

/// An authority in a folder of its own, and what its servers were told.
pub(crate) struct Federation {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) authority: Authority,
    pub(crate) clock: ManualClock,
    pub(crate) guard: Arc<Guard>,
    pub(crate) connections: Connections,
}

/// A roster in memory, with a list of those who were refused.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    pub(crate) revoked: Mutex<BTreeSet<Member>>,
    pub(crate) refused: Mutex<Vec<Refused>>,
}

impl Roster for Guard {
    fn admits(&self, certified: &Certified) -> bool {
        !self.revoked.lock().unwrap().contains(&certified.member)
    }

    fn refused(&self, _address: SocketAddr, refused: &Refused) {
        self.refused.lock().unwrap().push(refused.clone());
    }
}

impl Federation {
    pub(crate) fn new() -> Self {
        Self::named(&["127.0.0.1", "localhost"])
    }

    pub(crate) fn named(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The certificates of a clock that stands still are good for any system's clock that is right.
        let clock = ManualClock::at(SystemClock.now());
        let time = time(&clock);
        Authority::create(&folder.path().join("authority"), clock.now()).unwrap();
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let authority = Authority::open(&folder.path().join("authority"), names, time).unwrap();
        let (guard, connections) = (Arc::default(), Connections::default());
        Self { folder, authority, clock, guard, connections }
    }

    pub(crate) fn security(&self) -> Security {
        Security::Tls(Tls {
            config: self.authority.server_config().unwrap(),
            roster: Arc::clone(&self.guard) as _,
            connections: self.connections.clone(),
            time: time(&self.clock),
            open_path: "/tests.Echo/Open",
        })
    }

    pub(crate) async fn serve(&self) -> Ward {
        self.serve_with(Settings::default()).await
    }

    pub(crate) async fn serve_with(&self, settings: Settings) -> Ward {
        let store = (Default::default(), DEADLINE);
        Ward::open_secured(self.security(), settings, store).await
    }

    pub(crate) fn token(&self, member: &str, ward: &Ward) -> Token {
        Token {
            address: ward.address.to_string(),
            authority: self.authority.fingerprint(),
            member: member.parse().unwrap(),
            secret: Secret::from_bytes([1; 20]),
        }
    }

    /// Enrols a member without a service: what it would send is checked and answered here.
    pub(crate) fn join(&self, member: &str, ward: &Ward) -> Arc<Credentials> {
        let folder = self.folder.path().join(member);
        let token = self.token(member, ward);
        let application = Application::begin(&folder, &token).unwrap();
        let chain = self.answer(&application, &Occasion::Enrolment(token.secret));
        application.install(chain).unwrap();
        self.open(&folder)
    }

    pub(crate) fn open(&self, folder: &Path) -> Arc<Credentials> {
        Arc::new(Credentials::open(folder, time(&self.clock)).unwrap())
    }

    pub(crate) fn answer(&self, application: &Application, occasion: &Occasion) -> Vec<Vec<u8>> {
        let request = application.request();
        let parts: [&[u8]; 3] =
            [request.identity.as_bytes(), request.tls.as_bytes(), &request.signature];
        let checked = self.authority.check(request.member.clone(), parts, occasion).unwrap();
        self.authority.issue(&checked).unwrap().chain
    }

    pub(crate) fn days(&self, days: u64) {
        self.clock.advance(Duration::from_secs(days * 24 * 60 * 60));
    }

    pub(crate) fn refused(&self) -> Vec<Refused> {
        std::mem::take(&mut self.guard.refused.lock().unwrap())
    }
}

pub(crate) fn time(clock: &ManualClock) -> Time {
    let clock = clock.clone();
    Time::new(move || -> Timestamp { clock.now() })
}
