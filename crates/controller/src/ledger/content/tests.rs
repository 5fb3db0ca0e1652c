use allotment_core::{
    Attachment, Mac, MacWant, Object, Owner, Request, State, SubnetSpec, Target, Timestamp, Want,
};

use super::*;

/// A block as it is in memory.
fn block(state: &State, vrf: &str, base: &str) -> Content {
    let id = state.block_of(vrf, base.parse().unwrap()).unwrap();
    let mut records = Records::default();
    for place in state.places(id) {
        let mut record = Vec::new();
        state.write_record(place, &mut record);
        records.push(place.offset(), &record);
    }
    Content { written: 1, body: Body::Block { vrf: vrf.to_owned(), base: id.base(), records } }
}

/// Numbers that no compression gets the better of.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let [one, two, three] = [high >> 32, high >> 16 & 0xffff, high & 0xffff];
        format!("{one:08x}-{two:04x}-{three:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
    }

    /// As Kubernetes ends the names of pods.
    fn suffix(&mut self, length: usize) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let one = |_| char::from(ALPHABET[usize::try_from(self.next() >> 32).unwrap() % ALPHABET.len()]);
        (0..length).map(one).collect()
    }

    fn mac(&mut self) -> Mac {
        let bytes = self.next().to_le_bytes();
        Mac([2, bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]])
    }
}

/// Who a pod belongs to.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Deployment,
    VirtualMachine,
}

/// A pod with so many interfaces in one subnet.
fn pod(random: &mut Random, kind: Kind, interfaces: usize, n: usize) -> Request {
    let uid = random.uuid();
    let name = format!("checkout-frontend-{}-{}", ["7d9c5b8f46", "66b5f9c7d8"][n % 2], random.suffix(5));
    let owner = match kind {
        Kind::Deployment => {
            Owner { kind: "Pod".to_owned(), namespace: "shop".to_owned(), name, uid: uid.clone() }
        }
        Kind::VirtualMachine => {
            let name = format!("win-{}", random.suffix(8));
            Owner { kind: "VirtualMachine".to_owned(), namespace: "vms".to_owned(), name, uid: random.uuid() }
        }
    };
    let want = |interface: &str, network: &str, mac| Want {
        attachment: Attachment {
            holder: uid.clone(),
            network: network.to_owned(),
            interface: interface.to_owned(),
            node: format!("worker-{:03}.eu-central-1.compute.internal", n % 100),
            ..Attachment::default()
        },
        mac: Some(MacWant::Asked(mac)),
        targets: vec![Target::Subnet("rack-a".to_owned())],
        ..Want::default()
    };
    let all = [("eth0", ""), ("net1", "telecom/macvlan-a")];
    let wants = all[..interfaces].iter().map(|(name, network)| want(name, network, random.mac())).collect();
    Request { owner, namespace: "shop".to_owned(), wants, ..Request::default() }
}

/// A full /24, allocated over a minute.
fn full(kind: Kind, interfaces: usize) -> Content {
    let mut random = Random(88_172_645_463_325_252);
    let mut state = State::new();
    let subnet = SubnetSpec::new("rack-a", vec!["10.40.0.0/16".parse().unwrap()]);
    state.put(Object::Subnet(subnet)).unwrap();
    // The first block lacks network and gateway; the second is full.
    for n in 0..510 / interfaces {
        let request = pod(&mut random, kind, interfaces, n);
        let now = Timestamp(1_795_000_000_000 + random.next() % 60_000);
        let plan = state.plan(&request, now).unwrap();
        state.apply(&plan, &mut Vec::new());
    }
    block(&state, "default", "10.40.1.0")
}

#[test]
fn l2_a_full_block_is_small() {
    let (pod, machine) = (Kind::Deployment, Kind::VirtualMachine);
    // A machine's record has two UUIDs, its own and its pod's; with one interface each there is little but chance in it.
    for (kind, interfaces, most) in [(pod, 2, 7), (pod, 1, 10), (machine, 2, 9), (machine, 1, 15)] {
        let content = full(kind, interfaces);
        let Body::Block { records, .. } = &content.body else { panic!("it is a block") };
        assert_eq!(records.iter().count(), 256);
        let data = content.pack(&content.of().name());
        assert!(data.len() <= most * 1024, "{} bytes for {kind:?} with {interfaces}", data.len());
        assert_eq!(Content::unpack(&content.of().name(), &data), Ok(content));
    }
}

#[test]
fn l2_everything_comes_back() {
    let contents = [
        Body::Ledger(Epochs { epoch: 1_795_000_000, settled: 7 }),
        Body::Object(Box::new(Object::Subnet(SubnetSpec::new("a", vec!["10.0.0.0/8".parse().unwrap()])))),
        Body::Block { vrf: "grün".to_owned(), base: "fd00::".parse().unwrap(), records: Records::default() },
    ];
    for (written, body) in (1 << 40..).zip(contents) {
        let content = Content { written, body };
        let name = content.of().name();
        assert_eq!(Content::unpack(&name, &content.pack(&name)), Ok(content.clone()));
        assert!(Content::unpack("ledgers", &content.pack("ledgers")).is_err(), "it belongs into {name}");
    }
}

#[test]
fn l2_content_that_makes_no_sense_is_refused() {
    let body =
        Body::Block { vrf: "v".to_owned(), base: "10.0.0.0".parse().unwrap(), records: Records::default() };
    let good = Content { written: 1, body }.encode();
    assert!(Content::decode(&good).is_ok());
    for length in 0..good.len() {
        assert!(Content::decode(&good[..length]).is_err());
    }
    let with = |more: &[u8]| Content::decode(&[&good, more].concat());
    assert!(with(&[1, 1, 7]).is_ok());
    assert_eq!(with(&[1, 1, 7, 1, 1, 7]), Err(Malformed("its records are in disorder")));
    assert!(with(&[1, 9, 7]).is_err(), "a record that ends too early");
    let mut middle = good.clone();
    *middle.last_mut().unwrap() = 1;
    assert_eq!(Content::decode(&middle), Err(Malformed("it begins in the middle of a block")));
    assert_eq!(Content::decode(&[1, 9]), Err(Malformed("it is neither block nor object")));
    assert_eq!(Content::decode(&[1, LEDGER, b'{']), Err(Malformed("its JSON cannot be read")));
}

#[test]
fn l2_what_no_program_knows_yet_is_kept_byte_for_byte() {
    let Content { body: Body::Block { vrf, base, .. }, .. } = full(Kind::Deployment, 2) else {
        panic!("a block")
    };
    let mut records = Records::default();
    records.push(7, b"a record of a later program");
    let content = Content { written: 3, body: Body::Block { vrf, base, records } };
    let name = content.of().name();
    assert!(content.parts().is_none());
    assert_eq!(Content::unpack(&name, &content.pack(&name)), Ok(content));
}

#[test]
fn l2_parts_that_make_no_sense_are_refused() {
    let good = full(Kind::VirtualMachine, 1);
    let parts = good.parts().unwrap();
    assert_eq!(Content::of_parts(&parts), Ok(good));
    assert!(Content::of_parts(&[]).is_err());
    for (at, part) in parts.iter().enumerate() {
        let mut bad = parts.clone();
        for length in (0..part.len()).step_by(7) {
            bad[at].truncate(part.len() - 1 - length);
            assert!(Content::of_parts(&bad).is_err(), "part {at} without {} bytes", length + 1);
        }
        bad[at] = [part, &[0][..]].concat();
        assert!(Content::of_parts(&bad).is_err(), "a column too many in part {at}");
    }
}

#[test]
fn l2_a_block_that_was_stored_once_can_be_read_for_ever() {
    for stored in [WHOLE, PARTS] {
        let content = Content::unpack("default.10-40-0-0", stored).unwrap();
        let mut state = State::new();
        state.begin_loading();
        let Body::Block { vrf, base, records } = &content.body else { panic!("it is a block") };
        for (offset, record) in records.iter() {
            state.load(vrf, at(*base, offset), record).unwrap();
        }
        state.settle();
        assert_eq!((content.written, state.len()), (42, 2));
        let known = state.allocation("default", "10.40.0.2".parse().unwrap()).unwrap();
        assert_eq!((known.owner.name.as_str(), known.since.0), ("cart-7", 1_795_000_000_000));
    }
}

/// The same block, as the first release wrote it and as it has been written since.
const WHOLE: &str = "AQ9pJmrTYmRPSU1LLM0pYYCD//+5NBgYmMIYWVmYGeLC3i1kBPIY4hgYGJkD8lNYijPyCwRLUnNSk/Nz9XMTk8tyEvN0E1nyUksMOcrzi7JTi3QN/9TMS6ssUXW4N8UbbCQ7W3JiUYmu+T8GhhMBTKwsTIxQcyk10QJoIgA=";
const PARTS: &str = "AkNyMKRIRYsxDoAgFEPr+6DEjVsYb2WiTo56RG9FQHHADi9tmjcP67Yv13GqpZRxkuCmA+9xDgOzWmKsDIGU6HtypmnIkEPxY3i31/8+QAE7AMT/A1BvZARzaG9wEXRlbGVjb20vbWFjdmxhbi1hBG5ldDEId29ya2VyLTEAB2NhcnQtNzgAAAAAAAAAAAAjY2JgZIqLYwoLY3r3jmnhQiZGRiYGBiBiZGJkYIwDYgawCAASU6iZl1ZZoupwb4o3Awiwo/MB";
