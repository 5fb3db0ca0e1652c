//! Every file under `examples/` at the root is right, and so are the files of a folder together.

use std::fs;
use std::path::Path;

use allotment_api::{Parsed, read_folder};
use allotment_core::State;

use crate::{names, told};

#[test]
fn every_example_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut found = Vec::new();
    for entry in fs::read_dir(&root).unwrap() {
        let folder = entry.unwrap().path();
        if folder.is_dir() {
            let parsed = Parsed::gather(read_folder(&folder).unwrap(), |_| None);
            assert_eq!(told(&parsed), [""; 0]);
            found.extend(names(&parsed));
            let mut objects = parsed.objects;
            objects.sort_by_key(|object| object.value.key());
            let mut state = State::new();
            for object in objects {
                let put = state.put(object.value.clone());
                assert_eq!(put.map_err(|error| object.problem(&error).to_string()), Ok(()));
            }
        }
    }
    found.sort();
    assert_eq!(
        found,
        [
            "IPPool `databases`",
            "IPPool `sbc`",
            "Reservation `cscf-0`",
            "Reservation `gateway-box`",
            "Reservation `printer`",
            "Subnet `blue`",
            "Subnet `green`",
            "Subnet `lab`",
            "Subnet `lan`",
            "Subnet `media-blue`",
            "Subnet `media-green`",
            "Subnet `oam`",
            "Subnet `orders`",
            "Subnet `pods`",
            "Subnet `signalling`",
        ]
    );
}
