//! How an upload's bytes come into a store on the network: the upload *is* the store's own multipart upload.
//!
//! What comes waits in a [`Spool`] until it is a part, and parts are sent one after the other while more comes. What is less
//! than a part when a request ends is put into the store as a *piece*, an object of its own; the pieces are read back when there
//! are enough of them, into the part that they become. So a byte is sent once if it comes in requests of whole parts, and at
//! most twice if it does not; nothing that has become a part is ever read again. The digests go on in the upload's document
//! from one request to the next.
//!
//! At the end the store is told to put the parts together, and then the file is published. Before, a commit says that
//! everything is there: if the process is killed between the two, the next request on the upload finds that and brings it to
//! its end. The store's name for what was begun is in the upload's document before the first part is sent.

use andiron_protocol::{Precondition, Write, WriteKind};

use super::record::{Part, PartPlace, UploadRecord};
use super::turns::Turn;
use crate::blobs::{SentPart, Spool};
use crate::hashes::Hashes;
use crate::{Files, FilesError};

/// An object that is being put together in a store on the network, as it stands in the upload's document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assembly {
    /// Where it is going to be.
    pub(super) key: String,
    /// The store's name for what was begun.
    pub(super) id: String,
    /// Bytes of each part but the last.
    pub(super) part_bytes: u64,
    /// Bytes of the parts that the store has.
    pub(super) sent: u64,
    /// Whether these are all, so that nothing is left but to put them together and to publish the file.
    pub(super) is_whole: bool,
}

/// What has come and is in the store, but not yet taken into the upload's document.
pub(super) struct Waiting {
    part: Part,
    /// Where it begins.
    start: u64,
    /// The pieces that it was made of.
    made_of: Vec<Piece>,
    /// What was computed of everything up to its end, if anything was.
    hashes: Option<Vec<u8>>,
}

impl Waiting {
    /// A part that is to be read back.
    pub(super) fn part_of_its_own(key: String, size: u64, start: u64) -> Self {
        let place = PartPlace::Own(key);
        Self {
            part: Part { place, size },
            start,
            made_of: Vec::new(),
            hashes: None,
        }
    }

    pub(super) fn part(&self) -> &Part {
        &self.part
    }

    /// Bytes that come with it.
    pub(super) fn size(&self) -> u64 {
        // A part has taken the place of its pieces, whose bytes have been counted.
        self.part.size - self.made_of.iter().map(|piece| piece.part.size).sum::<u64>()
    }

    /// The writes that take it in.
    pub(super) fn writes(&self, record: &UploadRecord) -> Result<Vec<Write>, FilesError> {
        let mut writes = Vec::with_capacity(1 + self.made_of.len());
        for piece in self.made_of.iter().filter(|piece| piece.start != self.start) {
            writes.push(Write {
                path: record.id.part_document(piece.start)?,
                kind: WriteKind::Delete,
                precondition: Precondition::None,
            });
        }
        writes.push(self.part.write(&record.id, self.start)?);
        Ok(writes)
    }

    /// What the document says once this is taken in.
    pub(super) fn apply(&self, record: &mut UploadRecord) {
        record.hashes.clone_from(&self.hashes);
        if let (PartPlace::Within(_), Some(assembly)) = (&self.part.place, &mut record.assembly) {
            assembly.sent = self.start + self.part.size;
        }
    }

    /// Removes what is of no more use once this is taken in.
    pub(super) async fn clean_up(self, files: &Files) {
        for piece in self.made_of {
            piece.part.remove(files).await;
        }
    }

    /// Removes what is of no more use as this is not going to be taken in.
    pub(super) async fn discard(self, files: &Files) {
        // What is within something begun is overwritten by the next that comes.
        self.part.remove(files).await;
    }
}

/// Bytes of less than a part, in an object of their own.
#[derive(Clone)]
pub(super) struct Piece {
    part: Part,
    start: u64,
}

/// A part on its way.
struct InFlight {
    sending: SentPart,
    start: u64,
    size: u64,
    made_of: Vec<Piece>,
    hashes: Vec<u8>,
}

/// The bytes of an upload on their way into a store on the network.
pub(super) struct Assembling {
    files: Files,
    hashes: Hashes,
    part_bytes: usize,
    /// Where the part begins that is being collected.
    start: u64,
    /// What there is of it in the store.
    pieces: Vec<Piece>,
    pieces_bytes: usize,
    /// What has come of it by this request.
    spool: Spool,
    in_flight: Option<InFlight>,
}

impl Assembling {
    /// The state of an upload as its document has it; `None` if it is not put together in this way.
    pub(super) async fn of(files: &Files, record: &UploadRecord) -> Result<Option<Self>, FilesError> {
        let is_so = files.blobs().is_remote() && !record.is_partial && !record.is_done;
        // Those that an earlier version has begun lie in pieces only.
        if !is_so || (record.hashes.is_none() && record.offset > 0) {
            return Ok(None);
        }
        let hashes = match &record.hashes {
            None => Hashes::new(),
            // Laid down by a version that hashed otherwise: what is in parts cannot be read to hash it again.
            Some(hashes) => Hashes::from_bytes(hashes).ok_or(FilesError::UploadExpired)?,
        };
        let (start, part_bytes) = match &record.assembly {
            Some(assembly) => (
                assembly.sent,
                usize::try_from(assembly.part_bytes).unwrap_or(usize::MAX),
            ),
            None => {
                let bytes_max = match record.size {
                    Some(size) => size,
                    None => files.bounds(None, &record.name, None)?.bytes_max,
                };
                (0, files.blobs().part_bytes(bytes_max))
            }
        };
        let mut pieces = Vec::new();
        let mut end = start;
        for part in files.parts_from(&record.id, start).await? {
            let (at, size) = (end, part.size);
            end += size;
            pieces.push(Piece { part, start: at });
        }
        if hashes.size != end {
            return Err(FilesError::Internal(format!(
                "the upload `{}` has {end} bytes of the {} that were hashed",
                record.id, hashes.size
            )));
        }
        Ok(Some(Self {
            files: files.clone(),
            hashes,
            part_bytes,
            start,
            pieces,
            pieces_bytes: usize::try_from(end - start).unwrap_or(usize::MAX),
            spool: files.blobs().spool(),
            in_flight: None,
        }))
    }

    /// Takes bytes as far as the part goes that is being collected; says how many. None if it is complete, and has to be
    /// [sent](Self::send) first.
    pub(super) async fn collect(&mut self, bytes: &[u8]) -> Result<usize, FilesError> {
        let room = self.part_bytes.saturating_sub(self.collected());
        let now = &bytes[..bytes.len().min(room)];
        self.spool.push(now).await?;
        self.hashes.update(now);
        Ok(now.len())
    }

    fn collected(&self) -> usize {
        self.pieces_bytes + self.spool.len()
    }

    pub(super) fn is_part_complete(&self) -> bool {
        self.collected() >= self.part_bytes
    }

    /// Begins an object for the upload.
    pub(super) async fn begin(&self, record: &UploadRecord) -> Result<Assembly, FilesError> {
        let key = self.files.engine().generate_id();
        Ok(Assembly {
            id: self.files.blobs().begin(&key, record.id.as_str()).await?,
            key,
            part_bytes: self.part_bytes as u64,
            sent: 0,
            is_whole: false,
        })
    }

    /// Sends what has been collected as the next part. The turn is kept until it is there: a part that comes late must not take
    /// the place of one that another request has sent.
    pub(super) async fn send(&mut self, assembly: &Assembly, turn: Turn) -> Result<(), FilesError> {
        debug_assert!(self.in_flight.is_none());
        let size = self.collected();
        let mut buffer = self.files.blobs().buffer(size).await?;
        for piece in &self.pieces {
            let mut stream = piece.part.read(&self.files).await?;
            while let Some(more) = stream.next().await? {
                buffer.extend(&more);
            }
        }
        let buffer = self.spool.take_into(buffer).await?;
        let number = usize::try_from(self.start / assembly.part_bytes).unwrap_or(usize::MAX);
        let sending =
            self.files
                .blobs()
                .send_part(&assembly.key, &assembly.id, number, buffer.freeze(), turn);
        self.in_flight = Some(InFlight {
            sending,
            start: self.start,
            size: size as u64,
            made_of: std::mem::take(&mut self.pieces),
            hashes: self.hashes.to_bytes(),
        });
        self.pieces_bytes = 0;
        self.start += size as u64;
        Ok(())
    }

    /// Waits for the part on its way, if there is one.
    pub(super) async fn arrival(&mut self) -> Result<Option<Waiting>, FilesError> {
        let Some(in_flight) = self.in_flight.take() else {
            return Ok(None);
        };
        let sent = in_flight.sending.await;
        let id = sent.map_err(|error| FilesError::Internal(format!("a part was not sent: {error}")))??;
        Ok(Some(Waiting {
            part: Part {
                place: PartPlace::Within(id),
                size: in_flight.size,
            },
            start: in_flight.start,
            made_of: in_flight.made_of,
            hashes: Some(in_flight.hashes),
        }))
    }

    /// Puts what has come of a part into the store as a piece.
    pub(super) async fn put_aside(&mut self, record: &UploadRecord) -> Result<Option<Waiting>, FilesError> {
        if self.spool.is_empty() {
            return Ok(None);
        }
        let size = self.spool.len();
        let start = self.start + self.pieces_bytes as u64;
        let key = record.id.part_key(&self.files.engine().generate_id());
        let buffer = self.files.blobs().buffer(size).await?;
        let bytes = self.spool.take_into(buffer).await?.freeze();
        self.files.blobs().put(&key, bytes).await?;
        let part = Part {
            place: PartPlace::Own(key),
            size: size as u64,
        };
        self.pieces.push(Piece {
            part: part.clone(),
            start,
        });
        self.pieces_bytes += size;
        Ok(Some(Waiting {
            part,
            start,
            made_of: Vec::new(),
            hashes: Some(self.hashes.to_bytes()),
        }))
    }

    /// What was computed of everything that has come.
    pub(super) fn hashes(&self) -> Hashes {
        self.hashes.clone()
    }

    /// Whether something of a part has been collected.
    pub(super) fn has_rest(&self) -> bool {
        self.collected() > 0
    }

    /// Gives everything to an upload in one go, since it is not even one part.
    pub(super) async fn pour_into(&mut self, upload: &mut crate::Upload) -> Result<(), FilesError> {
        for piece in &self.pieces {
            let mut stream = piece.part.read(&self.files).await?;
            while let Some(bytes) = stream.next().await? {
                upload.write(&bytes).await?;
            }
        }
        let mut poured = 0;
        while let Some(bytes) = self.spool.read(poured).await? {
            poured += bytes.len();
            upload.write(&bytes).await?;
        }
        Ok(())
    }
}
