//! How each server is given files and asked for them.

/// What stands around the bytes of an upload.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Before them: the request's head, and of a form what precedes the file.
    pub head: Vec<u8>,
    /// After them.
    pub tail: Vec<u8>,
    /// The status of success.
    pub status: u16,
}

/// How one server is asked.
pub trait FileDialect: Sync {
    /// Requests before anything is measured, each with the status of its success.
    fn set_up(&self) -> Vec<(u16, Vec<u8>)>;
    /// An upload of `size` bytes under a name that no other has.
    fn upload(&self, name: &str, content_type: &str, size: usize) -> Envelope;
    /// The path of a file, by its name and what the upload was answered.
    fn location(&self, name: &str, answer: &[u8]) -> String;
    /// The whole file.
    fn download(&self, location: &str) -> Vec<u8>;
    /// The file as a picture of 100 × 100, the middle of it.
    fn thumbnail(&self, location: &str) -> Vec<u8>;
    /// An upload into a bucket with a limit, if there is such a thing.
    fn limited_upload(&self, name: &str, size: usize) -> Option<Envelope>;
    /// The beginning of a resumable upload, if there is such a thing. Its answer has a `Location`.
    fn begin_resumable(&self, name: &str, size: usize) -> Option<Envelope>;
    /// All bytes of a resumable upload, if there is such a thing.
    fn proceed(&self, location: &str, size: usize) -> Option<Envelope>;
}
