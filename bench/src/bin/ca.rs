//! The certificate authority's figures: `ca [--certificates 5000] [--devices 100000] [--rounds 7] [--out target/bench/ca.json]`.
//!
//! Certificates are issued one after the other as the gate does it (`proxy/src/enrol/issue.rs`): signed, recorded in the
//! journal, let in to the inventory, the last two on the disk itself before it goes on. The state database holds
//! `--devices` others meanwhile. Then serial numbers are looked up as each request does it. CPU time, so that what else the
//! machine does matters little; all of it on one core. Sealing the log is not part of it: `bench-audit` measures that.
#![expect(clippy::print_stderr, reason = "shows how far it is")]

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use cert_authority::{
    CertAuthority, DEVICE_VALIDITY, Device, DeviceKey, DeviceKind, DeviceRequest, DeviceStanding, Fingerprint, Init,
    Inventory, Os, P12Cipher, Passphrase, RevocationCause, Serial,
};
use rcgen::{KeyPair, PublicKeyData as _};
use rustix::time::{ClockId, clock_gettime};
use sekisho_audit as audit;
use sekisho_bench::process::{LOAD_CORE, PROXY_CORE, pin};
use sekisho_bench::report::median;
use serde::Serialize;
use serde_json::{Map, Value};
use store::{Store, StoreError};
use vocabulary::{Clock as _, DeviceId, PersonId, SystemClock, Timestamp};

/// As in the gate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One device of so many is revoked.
const REVOKED: usize = 100;
/// So many devices make requests at a time.
const AT_WORK: usize = 1_000;
/// In one round.
const LOOKUPS: usize = 400_000;
/// For each certificate with a key of our making, so many for keys that devices made.
const WITH_KEY: usize = 10;

#[derive(Debug, Serialize)]
struct Figures {
    /// Certificates for keys that devices made, signed, recorded and let in, per second of CPU time.
    issue_per_s: f64,
    /// The same by the clock on the wall, the disk's time included.
    issue_wall_per_s: f64,
    /// CPU time of the parts.
    sign_us: f64,
    record_us: f64,
    store_us: f64,
    /// As `issue_per_s`, but with the key and the PKCS#12 file made by us.
    with_key_and_p12_per_s: f64,
    /// Of which these take the place of `sign_us`.
    key_sign_and_p12_us: f64,
    /// A known serial number, and what its certificate is worth: what is asked of every request that shows one.
    revocation_lookup_ns: f64,
    /// With the device itself, which the same request needs next.
    with_device_ns: f64,
    /// As `with_device_ns`, of [`AT_WORK`] devices, as if the others were at home: what they lead to stays in the processor's caches.
    lookup_at_work_ns: f64,
    /// A serial number that nobody has.
    lookup_miss_ns: f64,
    /// As `revocation_lookup_ns`, while another thread revokes as fast as the disk takes it.
    lookup_while_writing_ns: f64,
    /// How many it revoked.
    revoked_meanwhile: usize,
    /// One read from this machine's memory that waits for the one before it. `revocation_lookup_ns`
    /// waits for one or two, `with_device_ns` for one or two more.
    far_read_ns: f64,
    devices: usize,
    certificates: usize,
}

struct Wish {
    certificates: usize,
    devices: usize,
    rounds: usize,
    out: PathBuf,
}

fn main() -> Result<()> {
    let wish = wish()?;
    let folder = tempfile::Builder::new().prefix("sekisho-bench-ca-").tempdir_in("/var/tmp")?;
    // Threads that are started from here on stay on it as well.
    pin(PROXY_CORE)?;
    let store = Store::open(&folder.path().join("state.db"))?;
    let known = fill(&store, wish.devices)?;
    let inventory = Inventory::open(&store)?;
    eprintln!("{} devices", wish.devices);

    let revocation_lookup_ns = lookups(&inventory, &known, wish.rounds, standing)?;
    let with_device_ns = lookups(&inventory, &known, wish.rounds, with_device)?;
    // An odd step: every hundredth is revoked.
    let at_work: Vec<Known> = known.iter().step_by((wish.devices / AT_WORK) | 1).cloned().collect();
    let lookup_at_work_ns = lookups(&inventory, &at_work, wish.rounds, with_device)?;
    let lookup_miss_ns = misses(&inventory, wish.rounds)?;
    let (lookup_while_writing_ns, revoked_meanwhile) = lookups_while_writing(&inventory, &known, wish.rounds)?;
    eprintln!(
        "a lookup takes {revocation_lookup_ns:.0} ns, with a writer {lookup_while_writing_ns:.0}, a miss {lookup_miss_ns:.0}"
    );

    let (own, with_key) = issuing(folder.path(), &inventory, wish.certificates)?;
    let kept = Inventory::open(&store)?.list().len();
    if kept != wish.devices + own.many + with_key.many {
        bail!("{kept} devices are left in the state database");
    }
    let figures = Figures {
        issue_per_s: own.per_s(),
        issue_wall_per_s: own.many as f64 / own.wall.as_secs_f64(),
        sign_us: own.us(own.sign),
        record_us: own.us(own.record),
        store_us: own.us(own.store),
        with_key_and_p12_per_s: with_key.per_s(),
        key_sign_and_p12_us: with_key.us(with_key.sign),
        revocation_lookup_ns,
        with_device_ns,
        lookup_at_work_ns,
        lookup_miss_ns,
        lookup_while_writing_ns,
        revoked_meanwhile,
        far_read_ns: far_reads(wish.rounds)?,
        devices: wish.devices,
        certificates: wish.certificates,
    };
    let text = serde_json::to_string_pretty(&figures)?;
    if let Some(parent) = wish.out.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&wish.out, &text)?;
    eprintln!("{text}");
    Ok(())
}

fn cpu(clock: ClockId) -> Duration {
    let used = clock_gettime(clock);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or(0))
}

/// Of all threads: the journal's, and those that may block.
fn process_cpu() -> Duration {
    cpu(ClockId::ProcessCPUTime)
}

/// Random enough for numbers that nobody has to guess (splitmix64), and the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or(0)
    }

    fn serial(&mut self) -> Result<Serial> {
        let number = u128::from(self.next()) << 64 | u128::from(self.next());
        Serial::from_bytes(&number.to_be_bytes()).context("a serial number")
    }
}

/// Through 32 MB, about what the devices take, along one ring through all of it; the median of the rounds.
fn far_reads(rounds: usize) -> Result<f64> {
    const STEPS: usize = 1_000_000;
    let mut numbers = Numbers(4);
    let mut ring: Vec<usize> = (0..4 << 20).collect();
    for place in (1..ring.len()).rev() {
        ring.swap(place, numbers.below(place));
    }
    let (mut at, mut times) = (0, Vec::new());
    for _ in 0..rounds {
        let before = cpu(ClockId::ThreadCPUTime);
        for _ in 0..STEPS {
            at = ring[at];
        }
        at = black_box(at);
        let taken = cpu(ClockId::ThreadCPUTime) - before;
        times.push(taken.as_secs_f64() * 1e9 / STEPS as f64);
    }
    median(times).context("no round")
}

/// A device that was there before, and whether it was revoked.
#[derive(Clone)]
struct Known {
    id: String,
    serial: Serial,
    revoked: bool,
}

/// Writes devices to the state database in one transaction: one by one, as they come in life, the disk would have to
/// confirm each.
fn fill(store: &Store, many: usize) -> Result<Vec<Known>> {
    // Makes the tables.
    drop(Inventory::open(store)?);
    let mut numbers = Numbers(1);
    let (now, year) = (SystemClock.now(), 365 * 86_400);
    let known = (0..many)
        .map(|number| {
            Ok(Known { id: format!("d-{number}"), serial: numbers.serial()?, revoked: number % REVOKED == 0 })
        })
        .collect::<Result<Vec<_>>>()?;
    store.transaction(|tx| {
        for (number, device) in known.iter().enumerate() {
            let serial = device.serial.to_bytes();
            let revoked = device.revoked.then_some("lost");
            tx.execute(
                "INSERT INTO device (id, serial, owner, name, kind, os, not_before, not_after, fingerprint,
                                     revoked_at, revoked_by, revoked_cause)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                &[
                    device.id.as_str().into(),
                    serial[..].into(),
                    format!("person-{}", number / 2).into(),
                    "花子のiPhone".into(),
                    DeviceKind::Byod.as_str().into(),
                    Os::Ios.as_str().into(),
                    now.0.into(),
                    now.plus_secs(year).0.into(),
                    Fingerprint::of(&serial).0[..].into(),
                    revoked.map(|_| now.0).into(),
                    revoked.map(|_| "cli:root").into(),
                    revoked.into(),
                ],
            )?;
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(known)
}

/// Nanoseconds a lookup, the median of the rounds. The numbers stand in the order in which they are asked for, as a
/// connection has its own at hand; what they lead to lies scattered.
fn lookups(inventory: &Inventory, known: &[Known], rounds: usize, how: How) -> Result<f64> {
    let mut numbers = Numbers(2);
    let drawn: Vec<&Known> =
        (0..LOOKUPS).map(|_| known.get(numbers.below(known.len()))).collect::<Option<_>>().context("no device")?;
    let revoked = drawn.iter().filter(|device| device.revoked).count();
    let serials: Vec<Serial> = drawn.iter().map(|device| device.serial).collect();
    let mut times = Vec::new();
    for _ in 0..rounds {
        let (found, taken) = look_up(inventory, &serials, how);
        // One that was revoked stays so, and another thread may revoke more.
        if found.gone > 0 || found.revoked < revoked {
            bail!("of {revoked} that are revoked {} were found, and {} not at all", found.revoked, found.gone);
        }
        times.push(taken);
    }
    median(times).context("no round")
}

fn misses(inventory: &Inventory, rounds: usize) -> Result<f64> {
    let mut numbers = Numbers(3);
    let serials = (0..LOOKUPS).map(|_| numbers.serial()).collect::<Result<Vec<_>>>()?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let (found, taken) = look_up(inventory, &serials, standing);
        if found.gone != LOOKUPS {
            bail!("{} were found that are not there", LOOKUPS - found.gone);
        }
        times.push(taken);
    }
    median(times).context("no round")
}

#[derive(Default)]
struct Found {
    revoked: usize,
    gone: usize,
}

/// What is asked of the inventory.
type How = fn(&Inventory, Serial, Timestamp) -> Option<DeviceStanding>;

fn standing(inventory: &Inventory, serial: Serial, now: Timestamp) -> Option<DeviceStanding> {
    inventory.standing(serial, now)
}

fn with_device(inventory: &Inventory, serial: Serial, now: Timestamp) -> Option<DeviceStanding> {
    inventory.get(serial).map(|device| device.standing_of(serial, now))
}

fn look_up(inventory: &Inventory, serials: &[Serial], how: How) -> (Found, f64) {
    let (mut found, now) = (Found::default(), SystemClock.now());
    let before = cpu(ClockId::ThreadCPUTime);
    // Each waits for the one before it, as requests do: always 0, and neither compiler nor processor knows.
    let mut before_it = 0;
    for index in 0..serials.len() {
        let Some(serial) = serials.get(index + before_it) else { break };
        let answer = how(inventory, *serial, now);
        before_it = black_box(answer.map_or(3, |standing| standing as usize)) >> 8;
        match answer {
            Some(DeviceStanding::Revoked) => found.revoked += 1,
            Some(_) => {}
            None => found.gone += 1,
        }
    }
    let taken = cpu(ClockId::ThreadCPUTime) - before;
    (found, taken.as_secs_f64() * 1e9 / serials.len() as f64)
}

/// With a thread on another core that revokes; returns how many it did, too.
fn lookups_while_writing(inventory: &Inventory, known: &[Known], rounds: usize) -> Result<(f64, usize)> {
    let (writing, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let revoke = || -> Result<usize> {
        pin(LOAD_CORE)?;
        let mut many = 0;
        for device in known.iter().filter(|device| !device.revoked) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let id = DeviceId::new(device.id.as_str())?;
            inventory.revoke(&id, SystemClock.now(), "cli:root", RevocationCause::Lost)?;
            many += 1;
            writing.store(true, Ordering::Relaxed);
        }
        Ok(many)
    };
    thread::scope(|scope| {
        let writer = scope.spawn(revoke);
        while !writing.load(Ordering::Relaxed) && !writer.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
        let taken = lookups(inventory, known, rounds, standing);
        let finished = writer.is_finished();
        stop.store(true, Ordering::Relaxed);
        let many = writer.join().map_err(|_| anyhow!("the writer panicked"))??;
        if finished {
            bail!("the writer was through before the readers; more devices are needed");
        }
        Ok((taken?, many))
    })
}

/// What as many certificates took, in CPU time except for one.
#[derive(Default)]
struct Spent {
    many: usize,
    wall: Duration,
    all: Duration,
    sign: Duration,
    record: Duration,
    store: Duration,
}

impl Spent {
    fn per_s(&self) -> f64 {
        self.many as f64 / self.all.as_secs_f64()
    }

    fn us(&self, part: Duration) -> f64 {
        part.as_secs_f64() * 1e6 / self.many as f64
    }
}

/// Issues for keys that devices made, then with keys of ours.
fn issuing(folder: &Path, inventory: &Inventory, many: usize) -> Result<(Spent, Spent)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (journal, _) = audit::Journal::open(&folder.join("journal"), audit::Options::default())?;
    let gate = Gate { authority: Arc::new(authority(folder)?), journal, inventory: inventory.clone() };
    // Before the clock runs: a device makes its own.
    let keys = (0..many)
        .map(|_| Ok(DeviceKey::from_spki(&KeyPair::generate()?.subject_public_key_info())?))
        .collect::<Result<Vec<_>>>()?;
    let request = request()?;
    let own = runtime.block_on(gate.issue_all(keys.into_iter().map(|key| {
        let request = request.clone();
        move |authority: &CertAuthority| Ok(authority.issue_device_for(&request, &key)?.device)
    })))?;
    eprintln!("{many} certificates issued");
    let with_key = runtime.block_on(gate.issue_all((0..many.div_ceil(WITH_KEY)).map(|_| {
        let request = request.clone();
        move |authority: &CertAuthority| Ok(authority.issue_device(&request)?.device)
    })))?;
    Ok((own, with_key))
}

fn authority(folder: &Path) -> Result<CertAuthority> {
    let passphrase = Passphrase::random()?;
    let init = Init {
        organisation: "社会福祉法人はなぞの".to_owned(),
        domain: "gw.bench.test".to_owned(),
        other_domains: Vec::new(),
        passphrase: passphrase.clone(),
        root_passphrase: Passphrase::random()?,
        export_to: folder.join("roots.age"),
        now: SystemClock.now(),
    };
    let ca = folder.join("ca");
    CertAuthority::init(&ca, &init)?;
    Ok(CertAuthority::open(&ca, &passphrase)?)
}

fn request() -> Result<DeviceRequest> {
    Ok(DeviceRequest {
        owner: Some(PersonId::new("hanako.sato")?),
        groups: Vec::new(),
        name: "花子のiPhone".to_owned(),
        kind: DeviceKind::Byod,
        os: Some(Os::Ios),
        now: SystemClock.now(),
        validity: DEVICE_VALIDITY,
        cipher: P12Cipher::default(),
    })
}

/// What of the gate issuing needs.
struct Gate {
    authority: Arc<CertAuthority>,
    journal: audit::Journal,
    inventory: Inventory,
}

impl Gate {
    /// One after the other: each waits for the disk twice.
    async fn issue_all<S>(&self, orders: impl Iterator<Item = S>) -> Result<Spent>
    where
        S: FnOnce(&CertAuthority) -> Result<Device> + Send + 'static,
    {
        let mut spent = Spent::default();
        let (began, before) = (Instant::now(), process_cpu());
        for sign in orders {
            self.issue(sign, &mut spent).await?;
        }
        (spent.wall, spent.all) = (began.elapsed(), process_cpu() - before);
        Ok(spent)
    }

    /// On the threads on which the gate does it.
    async fn issue<S>(&self, sign: S, spent: &mut Spent) -> Result<()>
    where
        S: FnOnce(&CertAuthority) -> Result<Device> + Send + 'static,
    {
        let began = process_cpu();
        let authority = Arc::clone(&self.authority);
        let device = tokio::task::spawn_blocking(move || sign(&authority)).await??;
        let signed = process_cpu();
        self.journal.append(SystemClock.now(), &audit::Record::Change(issued(&device))).await?;
        let recorded = process_cpu();
        let (inventory, kept) = (self.inventory.clone(), device.clone());
        tokio::task::spawn_blocking(move || inventory.add(&kept)).await??;
        let stored = process_cpu();
        spent.many += 1;
        spent.sign += signed - began;
        spent.record += recorded - signed;
        spent.store += stored - recorded;
        Ok(())
    }
}

/// As the gate records it, of a device that enrolled by EST.
fn issued(device: &Device) -> audit::Change {
    let mut details = Map::from_iter([
        ("serial".to_owned(), Value::from(device.serial.to_string())),
        ("kind".to_owned(), device.kind.as_str().into()),
        ("name".to_owned(), device.name.as_str().into()),
        ("not_after".to_owned(), device.not_after.to_string().into()),
        ("way".to_owned(), "est".into()),
        ("source".to_owned(), "203.0.113.7".into()),
    ]);
    details.extend(device.os.map(|os| ("os".to_owned(), os.as_str().into())));
    details.extend(device.owner.as_ref().map(|owner| ("owner".to_owned(), owner.as_str().into())));
    audit::Change {
        by: "hanako.sato".to_owned(),
        channel: "est".to_owned(),
        what: "device-issued".to_owned(),
        subject: device.id.to_string(),
        details,
        more: Map::new(),
    }
}

fn wish() -> Result<Wish> {
    let out = PathBuf::from("target/bench/ca.json");
    let mut wish = Wish { certificates: 5_000, devices: 100_000, rounds: 7, out };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--certificates" => wish.certificates = value.parse()?,
            "--devices" => wish.devices = value.parse()?,
            "--rounds" => wish.rounds = value.parse()?,
            "--out" => wish.out = value.into(),
            other => bail!("{other} is not an option; there are --certificates, --devices, --rounds and --out"),
        }
    }
    if wish.certificates == 0 || wish.devices == 0 || wish.rounds == 0 {
        bail!("at least one certificate, one device and one round are needed");
    }
    Ok(wish)
}
