//! A disk that remembers and fails: a SQLite VFS over the system's own.
//!
//! Every write, truncation, sync and deletion goes to the real file and into a journal; [`Replay`] makes of the
//! journal what a disk could hold if the power went at any moment of it. Shared memory and locks are the system's and
//! not journaled: they do not outlive a power loss.
#![expect(unsafe_code, reason = "a VFS is a table of C functions")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rusqlite::ffi;

use crate::support::Random;

/// The unit in which a disk writes all or nothing.
const SECTOR_BYTES: usize = 512;

/// A file of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Database,
    Log,
    Journal,
}

impl Part {
    const ALL: [Self; 3] = [Self::Database, Self::Log, Self::Journal];

    fn suffix(self) -> &'static str {
        match self {
            Self::Database => ".db",
            Self::Log => ".db-wal",
            Self::Journal => ".db-journal",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| name.ends_with(part.suffix()))
    }
}

/// What happened to the disk, in order.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Write {
        part: Part,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        part: Part,
        size: usize,
    },
    Sync {
        part: Part,
    },
    /// The folder was synced: files that were deleted stay so.
    SyncFolder,
    Delete {
        part: Part,
    },
    /// A commit was answered, so it must never be lost again.
    Answered {
        version: i64,
    },
}

impl Event {
    fn part(&self) -> Option<Part> {
        match self {
            Self::Write { part, .. }
            | Self::Truncate { part, .. }
            | Self::Sync { part }
            | Self::Delete { part } => Some(*part),
            Self::SyncFolder | Self::Answered { .. } => None,
        }
    }
}

/// An operation that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Read,
    Write,
    Sync,
}

/// Makes an operation fail with a result code of SQLite's, after `skip` that succeed and `times` times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) operation: Operation,
    pub(crate) part: Option<Part>,
    pub(crate) skip: usize,
    pub(crate) times: usize,
    pub(crate) code: c_int,
}

/// A disk, known to SQLite by its name. It is never freed: connections may use it as long as the process lives.
#[derive(Clone, Copy)]
pub(crate) struct Disk {
    state: &'static Mutex<State>,
    name: &'static str,
}

#[derive(Default)]
struct State {
    journal: Vec<Event>,
    fault: Option<Fault>,
    hits: usize,
}

impl State {
    /// The code with which this operation is to fail.
    fn failure(&mut self, operation: Operation, part: Option<Part>) -> Option<c_int> {
        let fault = self.fault.as_mut()?;
        if fault.operation != operation
            || part.is_none()
            || fault.part.is_some_and(|wanted| part != Some(wanted))
        {
            return None;
        }
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times = fault.times.checked_sub(1)?;
        self.hits += 1;
        Some(fault.code)
    }

    fn note(&mut self, part: Option<Part>, event: impl FnOnce(Part) -> Event) {
        if let Some(part) = part {
            self.journal.push(event(part));
        }
    }
}

impl Disk {
    /// A disk without faults, registered with SQLite.
    pub(crate) fn register() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("disk-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let c_name: &'static CStr = Box::leak(CString::new(name).unwrap().into_boxed_c_str());
        let state: &'static Mutex<State> = Box::leak(Box::default());
        // SAFETY: the default VFS lives as long as the process, and so does all that is leaked here. The functions that
        // are taken over from it do not look at the VFS that they are called with.
        unsafe {
            let base = ffi::sqlite3_vfs_find(std::ptr::null());
            let mut vfs = *base;
            vfs.szOsFile = (size_of::<JournaledFile>() as c_int) + (*base).szOsFile;
            vfs.zName = c_name.as_ptr();
            vfs.pNext = std::ptr::null_mut();
            vfs.pAppData = std::ptr::from_ref(Box::leak(Box::new(Registered { base, state })))
                .cast_mut()
                .cast();
            vfs.xOpen = Some(open);
            vfs.xDelete = Some(delete);
            assert_eq!(
                ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0),
                ffi::SQLITE_OK
            );
        }
        Self {
            state,
            name: c_name.to_str().unwrap(),
        }
    }

    pub(crate) fn name(&self) -> String {
        self.name.to_owned()
    }

    pub(crate) fn answered(&self, version: i64) {
        self.state.lock().journal.push(Event::Answered { version });
    }

    pub(crate) fn fail(&self, fault: Fault) {
        let mut state = self.state.lock();
        state.fault = Some(fault);
        state.hits = 0;
    }

    pub(crate) fn heal(&self) {
        self.state.lock().fault = None;
    }

    /// How often the fault has struck.
    pub(crate) fn hits(&self) -> usize {
        self.state.lock().hits
    }

    pub(crate) fn journal(&self) -> Vec<Event> {
        self.state.lock().journal.clone()
    }
}

/// What the VFS points at.
struct Registered {
    base: *mut ffi::sqlite3_vfs,
    state: &'static Mutex<State>,
}

/// An open file; the real one lies behind it in the same allocation.
#[repr(C)]
struct JournaledFile {
    methods: *const ffi::sqlite3_io_methods,
    state: &'static Mutex<State>,
    part: Option<Part>,
    /// Whether the next sync is to sync the folder too: the system's VFS does so with a journal or log just opened.
    syncs_folder: Cell<bool>,
    real: *mut ffi::sqlite3_file,
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite hands over our VFS, `szOsFile` bytes and a name that is NULL or a C string.
    unsafe {
        let registered = &*(*vfs).pAppData.cast::<Registered>();
        let real = file
            .cast::<u8>()
            .add(size_of::<JournaledFile>())
            .cast::<ffi::sqlite3_file>();
        let part = if name.is_null() {
            None
        } else {
            Part::of(&CStr::from_ptr(name).to_string_lossy())
        };
        let code = ((*registered.base).xOpen.unwrap())(registered.base, name, real, flags, out_flags);
        let opened = !(*real).pMethods.is_null();
        file.cast::<JournaledFile>().write(JournaledFile {
            methods: if opened { &METHODS } else { std::ptr::null() },
            state: registered.state,
            part,
            syncs_folder: Cell::new(matches!(part, Some(Part::Log | Part::Journal))),
            real,
        });
        code
    }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: as in `open`; the name is not NULL.
    unsafe {
        let registered = &*(*vfs).pAppData.cast::<Registered>();
        let part = Part::of(&CStr::from_ptr(name).to_string_lossy());
        let mut state = registered.state.lock();
        let code = ((*registered.base).xDelete.unwrap())(registered.base, name, sync);
        if code == ffi::SQLITE_OK {
            state.note(part, |part| Event::Delete { part });
            if sync != 0 {
                state.journal.push(Event::SyncFolder);
            }
        }
        code
    }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buffer: *mut c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite hands over a file that `open` made and a buffer of `amount` bytes.
    unsafe {
        let file = &*file.cast::<JournaledFile>();
        let failure = file.state.lock().failure(Operation::Read, file.part);
        let code = ((*(*file.real).pMethods).xRead.unwrap())(file.real, buffer, amount, offset);
        match failure {
            None => code,
            Some(failure) => {
                // A short read zeroes what it did not read.
                let read = amount as usize / 2;
                buffer
                    .cast::<u8>()
                    .add(read)
                    .write_bytes(0, amount as usize - read);
                failure
            }
        }
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    buffer: *const c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: as in `read`.
    unsafe {
        let file = &*file.cast::<JournaledFile>();
        let mut state = file.state.lock();
        let failure = state.failure(Operation::Write, file.part);
        // A write that fails has got halfway.
        let amount = if failure.is_some() { amount / 2 } else { amount };
        let code = ((*(*file.real).pMethods).xWrite.unwrap())(file.real, buffer, amount, offset);
        let bytes = std::slice::from_raw_parts(buffer.cast::<u8>(), amount as usize);
        state.note(file.part, |part| Event::Write {
            part,
            offset: offset as usize,
            bytes: bytes.to_vec(),
        });
        failure.unwrap_or(code)
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: as in `read`.
    unsafe {
        let file = &*file.cast::<JournaledFile>();
        let mut state = file.state.lock();
        let code = ((*(*file.real).pMethods).xTruncate.unwrap())(file.real, size);
        state.note(file.part, |part| Event::Truncate {
            part,
            size: size as usize,
        });
        code
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: as in `read`. The real file is not synced: the journal says what is durable, and the tests are quick.
    let file = unsafe { &*file.cast::<JournaledFile>() };
    let mut state = file.state.lock();
    if let Some(failure) = state.failure(Operation::Sync, file.part) {
        return failure;
    }
    state.note(file.part, |part| Event::Sync { part });
    if file.syncs_folder.replace(false) {
        state.journal.push(Event::SyncFolder);
    }
    ffi::SQLITE_OK
}

/// Functions that hand their arguments to the real file.
macro_rules! pass_through {
    ($($name:ident = $method:ident ($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $type)*) -> $result {
            // SAFETY: SQLite hands over a file that `open` made; the system's files have all of these methods.
            unsafe {
                let file = &*file.cast::<JournaledFile>();
                ((*(*file.real).pMethods).$method.unwrap())(file.real $(, $argument)*)
            }
        })*
    };
}

pass_through! {
    close = xClose() -> c_int;
    file_size = xFileSize(size: *mut i64) -> c_int;
    lock = xLock(level: c_int) -> c_int;
    unlock = xUnlock(level: c_int) -> c_int;
    check_reserved_lock = xCheckReservedLock(reserved: *mut c_int) -> c_int;
    file_control = xFileControl(operation: c_int, argument: *mut c_void) -> c_int;
    sector_size = xSectorSize() -> c_int;
    device_characteristics = xDeviceCharacteristics() -> c_int;
    shm_map = xShmMap(page: c_int, size: c_int, extend: c_int, mapped: *mut *mut c_void) -> c_int;
    shm_lock = xShmLock(offset: c_int, count: c_int, flags: c_int) -> c_int;
    shm_barrier = xShmBarrier() -> ();
    shm_unmap = xShmUnmap(delete: c_int) -> c_int;
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // Version 3 would map the file into memory, past the journal.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// What the power loss does to the writes that were not synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// All are gone.
    All,
    /// None is: only the process has died.
    Nothing,
    /// Some are gone, some only half there, in any order.
    Some,
}

/// The contents of the files of a database.
pub(crate) type Image = BTreeMap<Part, Vec<u8>>;

/// The disk, as the journal is followed.
#[derive(Default)]
pub(crate) struct Replay {
    durable: Image,
    pending: Vec<Event>,
    /// The version of the last commit that was answered.
    pub(crate) answered: i64,
}

impl Replay {
    pub(crate) fn step(&mut self, event: &Event) {
        match event {
            Event::Answered { version } => self.answered = *version,
            // Deleting is a matter of the folder; everything else, of the file.
            Event::SyncFolder => self.settle(|event| matches!(event, Event::Delete { .. })),
            Event::Sync { part } => {
                self.settle(|event| !matches!(event, Event::Delete { .. }) && event.part() == Some(*part));
            }
            event => self.pending.push(event.clone()),
        }
    }

    /// Makes some of the pending events durable.
    fn settle(&mut self, is_synced: impl Fn(&Event) -> bool) {
        let (synced, pending) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition::<Vec<_>, _>(is_synced);
        self.pending = pending;
        for event in synced {
            apply(&mut self.durable, &event, None);
        }
    }

    /// Whether anything depends on what the power loss does.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// What the disk holds after a power loss now.
    pub(crate) fn image(&self, loss: Loss, random: &mut Random) -> Image {
        let mut image = self.durable.clone();
        match loss {
            Loss::All => {}
            Loss::Nothing => self
                .pending
                .iter()
                .for_each(|event| apply(&mut image, event, None)),
            Loss::Some => {
                let kept_of_ten = random.below(11);
                let mut kept: Vec<&Event> = self
                    .pending
                    .iter()
                    .filter(|_| random.below(10) < kept_of_ten)
                    .collect();
                if random.below(2) == 0 {
                    random.shuffle(&mut kept);
                }
                for event in kept {
                    let torn = random.below(3) == 0;
                    apply(&mut image, event, torn.then_some(&mut *random));
                }
            }
        }
        image
    }
}

/// Does to an image what an event did to the disk; a torn write loses some of its sectors.
fn apply(image: &mut Image, event: &Event, mut torn: Option<&mut Random>) {
    match event {
        Event::Write { part, offset, bytes } => {
            let file = image.entry(*part).or_default();
            let end = offset + bytes.len();
            let mut from = *offset;
            while from < end {
                let to = (from / SECTOR_BYTES + 1).saturating_mul(SECTOR_BYTES).min(end);
                if torn.as_mut().is_none_or(|random| random.below(2) == 0) {
                    if file.len() < to {
                        file.resize(to, 0);
                    }
                    file[from..to].copy_from_slice(&bytes[from - offset..to - offset]);
                }
                from = to;
            }
        }
        Event::Truncate { part, size } => image.entry(*part).or_default().resize(*size, 0),
        Event::Delete { part } => {
            image.remove(part);
        }
        Event::Sync { .. } | Event::SyncFolder | Event::Answered { .. } => {}
    }
}

/// Makes a data folder hold an image and nothing else.
pub(crate) fn restore(image: &Image, folder: &Path) {
    for part in Part::ALL {
        let path = folder.join(format!("andiron{}", part.suffix()));
        match image.get(&part) {
            Some(bytes) => std::fs::write(path, bytes).unwrap(),
            None => match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
                _ => {}
            },
        }
    }
    let _ = std::fs::remove_file(folder.join("andiron.db-shm"));
}
