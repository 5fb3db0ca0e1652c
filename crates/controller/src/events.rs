//! What people are told in events: refusals, conflicts, and what keeps an address; nothing of an ordinary grant.
//!
//! The same about the same object is one event, and a series when it comes again: a pod that is refused for a day makes one.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

use crate::request::shortened;

/// One reason, for the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventDoc {
    pub reason: &'static str,
    /// The kind of the object.
    pub regarding: &'static str,
    pub meaning: &'static str,
    /// What a person does about it.
    pub remedy: &'static str,
}

/// Constants and table come from one list, so that no reason lacks its line in the reference.
macro_rules! reasons {
    ($($constant:ident = $reason:literal, $regarding:literal, $meaning:literal, $remedy:literal;)*) => {
        $(
            #[doc = $meaning]
            pub(crate) const $constant: &str = $reason;
        )*

        /// Every reason of an event.
        pub const EVENTS: &[EventDoc] =
            &[$(EventDoc { reason: $reason, regarding: $regarding, meaning: $meaning, remedy: $remedy }),*];
    };
}

reasons! {
    ADDRESS_DOUBLED = "AddressDoubled", "Node",
        "While the ledger recovers: a pod of the node uses an address that the ledger gives to somebody else.",
        "Delete one of the two pods that the note names.";
    ADDRESSES_HELD = "AddressesHeld", "Node",
        "Addresses of pods that ended more than a minute ago stay held: the note says how many, and what keeps them.",
        "What the note says: see that the agent runs, end what still uses them, or write the node off where it is gone \
         (`allot node forget NAME`).";
    ADDRESSES_REFUSED = "AddressesRefused", "Pod",
        "The pod cannot have what it wants: code, counts and hint are those of its refusal. It waits in its turn.",
        "What the hint says; `allot why NAMESPACE/POD` says where it waits.";
    NOT_SHOWN = "NotShown", "Pod",
        "The API server does not take the annotation that shows what the pod was given, or why it has nothing. It is tried again.",
        "What the note says. The annotations of a pod may have 256 KiB in all.";
    NOT_IN_FORCE = "NotInForce", "Subnet, IPPool, Reservation",
        "The object is not in force as it is declared; its last accepted form stays in force, if it had one.",
        "What the hint says; the object's condition `Ready` says the same.";
    STILL_HELD = "StillHeld", "Subnet, IPPool, Reservation",
        "The object is being deleted and stays in force, because addresses of it are held. Nothing new is given out of it.",
        "End the holders that the note counts, or create the object anew.";
    NODE_NOT_READY = "NodeNotReady", "Pod",
        "The agent of the pod's node has not published yet, so nothing is granted there: its end could not be proved.",
        "See that `allot agent` runs on that node and may write its NodeAttachments.";
}

/// Who reports.
pub(crate) const REPORTER: &str = "allotment.dev/controller";

/// The API's own limit on a note, in bytes.
const NOTE: usize = 1024;

/// The longest name of an object, in bytes.
const NAME: usize = 253;

/// Between two writes of a series.
const SERIES_EVERY: Duration = Duration::from_mins(5);

/// Events that are remembered, so that their repetition makes a series. Of older ones a new event is made.
const REMEMBERED: usize = 4096;

/// The namespace of events about what has none.
const CLUSTER: &str = "default";

/// What an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Regarding {
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// One thing that is said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Saying {
    pub(crate) regarding: Regarding,
    /// One word, for programs.
    pub(crate) reason: &'static str,
    /// What was tried.
    pub(crate) action: &'static str,
    /// What tells it from others with this reason: a refusal's code.
    pub(crate) about: String,
    pub(crate) note: String,
}

/// What is to be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Create(Box<Event>),
    /// The event came again.
    Extend {
        namespace: String,
        name: String,
        series: EventSeries,
    },
}

type Key = (Regarding, &'static str, String);

#[derive(Default)]
pub(crate) struct Events {
    said: HashMap<Key, Said>,
    order: VecDeque<Key>,
    /// Makes names unique, with the time.
    count: u32,
}

struct Said {
    name: String,
    times: i32,
    written: Instant,
}

impl Events {
    /// What is to be written now, if anything.
    pub(crate) fn say(&mut self, saying: Saying, now: Instant, clock: Timestamp) -> Option<Action> {
        let namespace = namespace(&saying.regarding);
        let key = (saying.regarding.clone(), saying.reason, saying.about.clone());
        if let Some(said) = self.said.get_mut(&key) {
            said.times += 1;
            if now < said.written + SERIES_EVERY {
                return None;
            }
            said.written = now;
            let series = EventSeries { count: said.times, last_observed_time: MicroTime(clock) };
            return Some(Action::Extend { namespace, name: said.name.clone(), series });
        }
        self.count = self.count.wrapping_add(1);
        let number = format!("{:x}.{:x}", clock.as_microsecond(), self.count);
        let room = NAME - number.len() - 1;
        // A name of an object is as long as one of an event may be.
        let begin = &saying.regarding.name[..saying.regarding.name.floor_char_boundary(room)];
        let name = format!("{}.{number}", begin.trim_end_matches(['.', '-']));
        self.remember(key, Said { name: name.clone(), times: 1, written: now });
        Some(Action::Create(Box::new(event(saying, namespace, name, clock))))
    }

    fn remember(&mut self, key: Key, said: Said) {
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.said.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.said.insert(key, said);
    }
}

fn namespace(regarding: &Regarding) -> String {
    if regarding.namespace.is_empty() { CLUSTER.to_owned() } else { regarding.namespace.clone() }
}

fn event(saying: Saying, namespace: String, name: String, clock: Timestamp) -> Event {
    let Saying { regarding, reason, action, note, .. } = saying;
    let reference = ObjectReference {
        api_version: Some(regarding.api_version.to_owned()),
        kind: Some(regarding.kind.to_owned()),
        namespace: Some(regarding.namespace).filter(|namespace| !namespace.is_empty()),
        name: Some(regarding.name),
        uid: Some(regarding.uid).filter(|uid| !uid.is_empty()),
        ..ObjectReference::default()
    };
    Event {
        metadata: ObjectMeta { name: Some(name), namespace: Some(namespace), ..ObjectMeta::default() },
        action: Some(action.to_owned()),
        event_time: Some(MicroTime(clock)),
        note: Some(shortened(&note, NOTE)),
        reason: Some(reason.to_owned()),
        regarding: Some(reference),
        reporting_controller: Some(REPORTER.to_owned()),
        reporting_instance: Some("allotment-controller".to_owned()),
        type_: Some("Warning".to_owned()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saying(uid: &str, code: &str) -> Saying {
        let regarding = Regarding {
            api_version: "v1",
            kind: "Pod",
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            uid: uid.to_owned(),
        };
        let (about, note) = (code.to_owned(), "no".to_owned());
        Saying { regarding, reason: "AddressesRefused", action: "Allocate", about, note }
    }

    #[test]
    fn the_same_again_is_a_series_written_now_and_then() {
        let mut events = Events::default();
        let (mut now, clock) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let Some(Action::Create(event)) = events.say(saying("u", "full"), now, clock) else {
            panic!("a new one")
        };
        assert_eq!(event.reason.as_deref(), Some("AddressesRefused"));
        for _ in 0..10 {
            assert_eq!(events.say(saying("u", "full"), now, clock), None);
        }
        now += SERIES_EVERY;
        let Some(Action::Extend { name, series, .. }) = events.say(saying("u", "full"), now, clock) else {
            panic!("a series")
        };
        assert_eq!((Some(name), series.count), (event.metadata.name, 12));
    }

    #[test]
    fn another_code_or_pod_is_another_event() {
        let mut events = Events::default();
        let names = [("u", "full"), ("u", "taken"), ("v", "full")].map(|(uid, code)| {
            match events.say(saying(uid, code), Instant::now(), Timestamp::UNIX_EPOCH) {
                Some(Action::Create(event)) => event.metadata.name,
                other => panic!("{other:?}"),
            }
        });
        assert!(names[0] != names[1] && names[1] != names[2]);
    }

    #[test]
    fn whatever_its_object_is_called_its_name_is_one() {
        let mut long = saying("u", "full");
        long.regarding.name = format!("{}-{}", "a".repeat(230), "b".repeat(22));
        let Some(Action::Create(event)) = Events::default().say(long, Instant::now(), Timestamp::now())
        else {
            panic!("a new one")
        };
        let name = event.metadata.name.unwrap();
        assert!(name.len() <= NAME && !name.contains("-."), "{name}");
    }

    #[test]
    fn memory_has_an_end() {
        let mut events = Events::default();
        for n in 0..REMEMBERED + 10 {
            events.say(saying(&n.to_string(), "full"), Instant::now(), Timestamp::UNIX_EPOCH);
        }
        assert_eq!((events.said.len(), events.order.len()), (REMEMBERED, REMEMBERED));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let cut = shortened(&"ä".repeat(NOTE), NOTE);
        assert!(cut.len() <= NOTE && cut.ends_with('…'), "{}", cut.len());
        assert_eq!(shortened("short", NOTE), "short");
    }
}
