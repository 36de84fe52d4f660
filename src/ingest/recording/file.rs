//! Files of lines, plain or compressed, one line in memory at a time.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::{DeflateDecoder, MultiGzDecoder};
use zip::{CompressionMethod, ZipArchive};

use super::RecordingError;

/// A file, or one of those within a zip file.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: PathBuf,
    member: Option<Member>,
}

#[derive(Clone, Debug)]
struct Member {
    name: String,
    start: u64,
    length: u64,
    deflated: bool,
}

impl Place {
    /// The file itself, or all that a zip file holds.
    pub(super) fn all_of(path: &Path) -> Result<Vec<Place>, RecordingError> {
        let failed = |source| RecordingError::Open { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(failed(ErrorKind::IsADirectory.into()));
        }
        let mut magic = [0; 4];
        let read = file.read(&mut magic).map_err(failed)?;
        if magic[..read] != *b"PK\x03\x04" {
            return Ok(vec![Place { path: path.to_owned(), member: None }]);
        }
        // A zip file's list of members stands at its end, so one that is cut short has none.
        let cut_short = |error: zip::result::ZipError| RecordingError::CutShort {
            path: path.to_owned(),
            line: 0,
            source: error.into(),
        };
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(cut_short)?;
        let mut places = Vec::new();
        for at in 0..archive.len() {
            let found = archive.by_index_raw(at).map_err(cut_short)?;
            let name = found.name().map_err(cut_short)?.into_owned();
            let not_ours = || RecordingError::NotARecording { path: path.join(&name) };
            let deflated = found.compression() == CompressionMethod::Deflated;
            if !deflated && found.compression() != CompressionMethod::Stored {
                return Err(not_ours());
            }
            let start = found.data_start().ok_or_else(not_ours)?;
            let length = found.compressed_size();
            if !found.is_dir() {
                let member = Some(Member { name, start, length, deflated });
                places.push(Place { path: path.to_owned(), member });
            }
        }
        Ok(places)
    }

    /// The name of the file, or of the one within the zip file, without folders.
    pub(super) fn name(&self) -> String {
        let path = self.member.as_ref().map_or(self.path.as_path(), |member| Path::new(&member.name));
        path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn open(&self) -> std::io::Result<Box<dyn BufRead + Send>> {
        let mut file = File::open(&self.path)?;
        if let Some(member) = &self.member {
            file.seek(SeekFrom::Start(member.start))?;
            let content = BufReader::new(file).take(member.length);
            return Ok(match member.deflated {
                true => Box::new(BufReader::with_capacity(BUFFER, DeflateDecoder::new(content))),
                false => Box::new(content),
            });
        }
        let mut plain = BufReader::with_capacity(BUFFER, file);
        let begin = plain.fill_buf()?;
        if begin.starts_with(&[0x1f, 0x8b]) {
            return Ok(Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(plain))));
        }
        if begin.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let decoder = zstd::stream::read::Decoder::with_buffer(plain)?;
            return Ok(Box::new(BufReader::with_capacity(BUFFER, decoder)));
        }
        Ok(Box::new(plain))
    }
}

/// The lines of a file.
pub(super) struct Lines {
    pub(super) path: PathBuf,
    /// The present line, without its end.
    pub(super) line: Vec<u8>,
    /// Its number, from 1.
    pub(super) number: u64,
    reader: Box<dyn BufRead + Send>,
}

impl Lines {
    pub(super) fn open(place: Place) -> Result<Lines, RecordingError> {
        match place.open() {
            Ok(reader) => Ok(Lines { path: place.path, line: Vec::new(), number: 0, reader }),
            Err(source) => Err(RecordingError::Open { path: place.path, source }),
        }
    }

    /// Goes to the next line; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool, RecordingError> {
        self.line.clear();
        loop {
            let found = match self.reader.fill_buf() {
                Ok(found) => found,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failed(error)),
            };
            if found.is_empty() {
                self.number += u64::from(!self.line.is_empty());
                return Ok(!self.line.is_empty());
            }
            let end = found.iter().position(|&byte| byte == b'\n');
            let part = &found[..end.unwrap_or(found.len())];
            if self.line.len() + part.len() > LONGEST_LINE {
                let (path, line) = (self.path.clone(), self.number + 1);
                return Err(RecordingError::LineTooLong { path, line, limit: LONGEST_LINE });
            }
            self.line.extend_from_slice(part);
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                if self.line.last() == Some(&b'\r') {
                    self.line.pop();
                }
                self.number += 1;
                return Ok(true);
            }
        }
    }

    fn failed(&self, source: std::io::Error) -> RecordingError {
        let (path, line) = (self.path.clone(), self.number);
        if source.kind() == ErrorKind::UnexpectedEof {
            return RecordingError::CutShort { path, line, source };
        }
        RecordingError::Read { path, line, source }
    }
}

/// The longest message that is recorded is a list of instruments: 10 MiB at most, and its address.
const LONGEST_LINE: usize = 16 << 20;

const BUFFER: usize = 128 << 10;
