//! The codes of CNI errors: those of the spec (SPEC 1.1.0, section 5, "Error") and, from 100 on, ours.

/// One code, for the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeDoc {
    pub code: u32,
    /// The constant's name.
    pub name: &'static str,
    /// When it is given.
    pub meaning: &'static str,
    /// What a person does about it.
    pub remedy: &'static str,
}

/// Constants and table come from one list, so that no code lacks its line in the reference.
macro_rules! codes {
    ($($name:ident = $code:literal, $meaning:literal, $remedy:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $name: u32 = $code;
        )*

        /// Every code, ascending.
        pub const CODES: &[CodeDoc] = &[
            $(CodeDoc { code: $code, name: stringify!($name), meaning: $meaning, remedy: $remedy },)*
        ];
    };
}

codes! {
    INCOMPATIBLE_VERSION = 1,
        "The configuration's `cniVersion` is not one of those spoken, or has no such command.",
        "Set `cniVersion` to a version that `CNI_COMMAND=VERSION` lists: CHECK needs 0.4.0, GC and STATUS need 1.1.0.";
    UNSUPPORTED_FIELD = 2,
        "A field of the configuration is not supported. Not given: unknown fields are passed over.",
        "Nothing.";
    UNKNOWN_CONTAINER = 3,
        "The container is not known, and the runtime need not clean up. Never given: a DEL of the unknown succeeds.",
        "Nothing.";
    INVALID_ENVIRONMENT = 4,
        "A variable such as `CNI_CONTAINERID` is missing or not legal; the message names it.",
        "Report it to whoever runs the container runtime: a person's configuration does not set these.";
    IO = 5,
        "Reading or writing failed.",
        "Look at the message for the system's reason; the runtime tries again.";
    DECODE = 6,
        "The configuration is not JSON, or a key has a value of the wrong type; the message says where.",
        "Correct the network configuration or the NetworkAttachmentDefinition.";
    INVALID_CONFIG = 7,
        "The configuration can be read but not be followed: the message names the key and its value.",
        "Correct the network configuration, or create the subnet or pool that it names.";
    INVALID_NETNS = 8,
        "`CNI_NETNS` is no network namespace. Not given: that is for the main plugin to say.",
        "Nothing.";
    TRY_AGAIN_LATER = 11,
        "The daemon is away, starts, stops, or could not make the answer durable in time. Nothing is lost: the same \
         call asked again gets the same answer.",
        "See that the daemon runs (`allot ready`); the runtime tries again by itself.";
    NOT_AVAILABLE = 50,
        "STATUS: no ADD can work now, because the daemon is away or stops, or its ledger cannot be written.",
        "See that the daemon runs (`allot ready`) and that its disk is neither full nor read-only.";
    LIMITED = 51,
        "STATUS: no ADD can work, and containers that run may be cut off. Not given: Allotment carries no traffic.",
        "Nothing.";
    FULL = 100,
        "What may be used has no free address; the message has the counts.",
        "Add addresses or another subnet, release what is not needed, or wait for what cools.";
    TAKEN = 101,
        "The address or MAC that was asked for belongs to somebody else, or cools after somebody else.",
        "Ask for another one, or release it at its owner (`allot who-has ADDRESS`).";
    NOT_ALLOWED = 102,
        "The address may not be had by this owner: a binding, a pool's selectors, a reservation, a gateway.",
        "Ask from where it is allowed, or change subnet, pool or reservation.";
    CHECK_DIFFERS = 103,
        "CHECK: what is recorded is not what the runtime believes the interface has.",
        "Recreate the container; `allot audit` tells how far the difference goes.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let codes: Vec<u32> = CODES.iter().map(|doc| doc.code).collect();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 11, 50, 51, 100, 101, 102, 103]);
        for doc in CODES {
            for text in [doc.meaning, doc.remedy] {
                assert!(text.ends_with('.') && !text.contains("  "), "{text}");
            }
        }
        assert_eq!((TRY_AGAIN_LATER, CHECK_DIFFERS), (11, 103));
    }
}
