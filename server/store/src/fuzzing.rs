//! What the fuzz targets of this crate run, behind the feature `fuzzing`: functions from any bytes to nothing, which
//! panic where a promise is broken. Tests run them too, with fixed seeds.

use andiron_protocol::{Direction, DocumentPath, GeoPoint, Map, Source, Timestamp, Value};

use crate::key::{
    Extent, cut_at, decode_id, decode_path, encode_id, encode_path, encode_value, prefix_successor,
};
use crate::{IndexDefinition, IndexField, IndexFieldKind, IndexScope};

/// Levels of arrays and maps in a value made from bytes.
const DEPTH_MAX: usize = 8;

/// Makes documents from the bytes, and checks that their entries order as the documents do, name the documents and show
/// what was cut.
pub fn key_order(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let shape = bytes.byte();
    let direction = |bit: u8| {
        if shape >> bit & 1 == 0 {
            (Direction::Ascending, IndexFieldKind::Ascending)
        } else {
            (Direction::Descending, IndexFieldKind::Descending)
        }
    };
    let scope = if shape & 1 == 0 {
        IndexScope::Group
    } else {
        IndexScope::Collection
    };
    let fields = [("a", direction(1)), ("b", direction(2))];
    let definition = IndexDefinition {
        collection: "c".to_owned(),
        scope,
        fields: fields
            .iter()
            .map(|(name, (_, kind))| IndexField {
                field: name.parse().expect("a name is a field path"),
                kind: *kind,
            })
            .collect(),
    };
    let [left, right] = [(), ()].map(|()| {
        let path = bytes.path();
        let values = [bytes.value(0), bytes.value(0)];
        let data: Map = fields
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .zip(values)
            .collect();
        (path, data)
    });

    let mut keys = Vec::new();
    let mut whole = true;
    for (path, data) in [&left, &right] {
        let mut entries = definition.entry_keys(path, data);
        let key = entries.pop().expect("a document with all fields has an entry");
        assert!(entries.is_empty(), "and no other");
        assert_eq!(definition.document_of(&key).as_ref(), Some(path));

        let mut prefix = definition.scope_prefix(&Source::Collection(path.collection()));
        let mut cut = None;
        for ((_, (direction, _)), value) in fields.iter().zip(data.values()) {
            let extent = encode_value(value, *direction, &mut prefix);
            cut = cut.or((extent == Extent::Cut).then_some(prefix.len()));
        }
        assert!(key.starts_with(&prefix));
        assert!(prefix_successor(&prefix).is_none_or(|successor| key < successor));
        assert_eq!(cut_at(&key, &definition), cut);
        whole &= cut.is_none();
        keys.push(key);
    }

    if whole {
        let (left_path, left_data) = &left;
        let (right_path, right_data) = &right;
        let parents = match scope {
            IndexScope::Collection => left_path
                .collection()
                .parent()
                .cmp(&right_path.collection().parent()),
            IndexScope::Group => std::cmp::Ordering::Equal,
        };
        let order = fields.iter().fold(parents, |order, (name, (direction, _))| {
            order.then_with(|| direction.apply(left_data[*name].cmp(&right_data[*name])))
        });
        let order = order.then_with(|| definition.path_direction().apply(left_path.cmp(right_path)));
        assert_eq!(keys[0].cmp(&keys[1]), order, "{left:?} and {right:?}");
    }
}

/// Reads the bytes as keys, and checks that what is understood is what would be written.
pub fn key_bytes(bytes: &[u8]) {
    for direction in [Direction::Ascending, Direction::Descending] {
        let mut again = Vec::new();
        if let Some((id, length)) = decode_id(bytes, direction) {
            encode_id(&id, direction, &mut again);
            assert_eq!(again, bytes[..length]);
        }
        again.clear();
        // A path whose segment has a slash is written by nobody, and reads as another path.
        if let Some((path, length)) = decode_path(bytes, direction)
            && path.parse::<DocumentPath>().is_ok()
        {
            encode_path(&path, direction, &mut again);
            assert_eq!(again.len(), length);
        }
        let kind = match direction {
            Direction::Ascending => IndexFieldKind::Ascending,
            Direction::Descending => IndexFieldKind::Descending,
        };
        for scope in [IndexScope::Collection, IndexScope::Group] {
            let field = |name: &str| IndexField {
                field: name.parse().expect("a name is a field path"),
                kind,
            };
            let definition = IndexDefinition {
                collection: "c".to_owned(),
                scope,
                fields: vec![field("a"), field("b")],
            };
            if let Some(cut) = cut_at(bytes, &definition) {
                assert!(cut <= bytes.len());
            }
            // Only that it does not fail: most bytes are no entry.
            let _ = definition.document_of(bytes);
        }
    }
}

/// Bytes to make things from; zeros after their end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let length = N.min(self.0.len());
        array[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        array
    }

    /// A short run of bytes, sometimes repeated so often that a value is cut.
    fn run(&mut self) -> Vec<u8> {
        let control = self.byte();
        let length = usize::from(control & 0x0F).min(self.0.len());
        let (run, rest) = self.0.split_at(length);
        self.0 = rest;
        let times = if control >> 4 == 0x0F {
            usize::from(self.byte()) * 4
        } else {
            1
        };
        run.repeat(times)
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.run()).into_owned()
    }

    fn id(&mut self) -> String {
        let text: String = self
            .text()
            .chars()
            .filter(|character| !matches!(character, '/' | '\0'))
            .take(300)
            .collect();
        // No id is empty, `.`, `..` or reserved with this before it.
        format!("i{text}")
    }

    fn path(&mut self) -> DocumentPath {
        let control = self.byte();
        let mut path = format!("c/{}", self.id());
        for _ in 0..control % 3 {
            path = format!("{}/{}/{path}", self.id(), self.id());
        }
        path.parse().expect("made of valid ids, and short")
    }

    fn double(&mut self) -> f64 {
        f64::from_bits(u64::from_be_bytes(self.array()))
    }

    fn value(&mut self, depth: usize) -> Value {
        let control = self.byte();
        let items = control >> 4;
        match control & 0x0F {
            0 => Value::Null,
            1 => Value::Boolean(items & 1 == 1),
            2 => Value::Integer(i64::from_be_bytes(self.array())),
            3 => Value::Integer(i64::from(items) - 8),
            4 => Value::Double(self.double()),
            // Beside an integer, where the order is close.
            #[expect(clippy::cast_precision_loss, reason = "any double will do")]
            5 => Value::Double(i64::from_be_bytes(self.array()) as f64),
            6 => Value::Timestamp(Timestamp::from_micros_clamped(i64::from_be_bytes(self.array()))),
            7 | 8 => Value::String(self.text()),
            9 => Value::Bytes(self.run()),
            10 => Value::Reference(self.path()),
            11 => {
                let degrees = |double: f64, max: f64| if double.abs() <= max { double } else { -0.0 };
                let (latitude, longitude) = (self.double(), self.double());
                GeoPoint::new(degrees(latitude, 90.0), degrees(longitude, 180.0))
                    .map_or(Value::Null, Value::GeoPoint)
            }
            12 => Value::Vector((0..items).map(|_| self.double()).collect()),
            13 | 14 if depth < DEPTH_MAX => Value::Array((0..items).map(|_| self.value(depth + 1)).collect()),
            15 if depth < DEPTH_MAX => {
                Value::Map((0..items).map(|_| (self.text(), self.value(depth + 1))).collect())
            }
            _ => Value::Null,
        }
    }
}
