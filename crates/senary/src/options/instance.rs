//! Which of several equal instances of a test this one is: a number that schedulers give their processes, instead of a
//! segment and a sequence that somebody would have to work out.

use senary_execution::SegmentSequence;

use super::Options;

/// More instances than this cannot be started.
const MOST: u32 = 10_000;
/// The tag that tells the samples of instances apart, named as the reference's operator names it.
const TAG: &str = "instance_id";

/// One of several instances, each of which runs an equal part of the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Below `count`; the first instance is 0.
    pub index: u32,
    pub count: u32,
}

/// Why there is no such instance; exit code 104.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstanceError {
    #[error(
        "--instance-index (SENARY_INSTANCE_INDEX) is given without --instance-count (SENARY_INSTANCE_COUNT): say how many instances there are, too"
    )]
    NoCount,
    #[error(
        "--instance-count (SENARY_INSTANCE_COUNT) is given without --instance-index (SENARY_INSTANCE_INDEX): say which of the {count} instances this is, too, from 0 to {}", .count - 1
    )]
    NoIndex { count: u32 },
    #[error("--instance-count (SENARY_INSTANCE_COUNT) must be a number from 1 to {MOST}, but is {0}")]
    Count(i64),
    #[error(
        "--instance-index (SENARY_INSTANCE_INDEX) must be a number from 0 to {} with {count} instances, but is {index}: the first instance is 0", .count - 1
    )]
    Index { index: i64, count: u32 },
    #[error(
        "--instance-index and --instance-count stand for an execution segment, and {0} is set, too: leave out one of the two"
    )]
    Segment(&'static str),
}

impl Instance {
    /// The instance of these numbers, if they are given.
    pub fn new(index: Option<i64>, count: Option<i64>) -> Result<Option<Self>, InstanceError> {
        let Some(count) = count else {
            return if index.is_some() { Err(InstanceError::NoCount) } else { Ok(None) };
        };
        let in_range = u32::try_from(count).ok().filter(|count| (1..=MOST).contains(count));
        let count = in_range.ok_or(InstanceError::Count(count))?;
        let index = index.ok_or(InstanceError::NoIndex { count })?;
        let in_range = u32::try_from(index).ok().filter(|index| *index < count);
        let index = in_range.ok_or(InstanceError::Index { index, count })?;
        Ok(Some(Self { index, count }))
    }

    /// Sets the segment of this instance. Its samples get a tag, unless the user has given that tag a value.
    pub fn take_part(self, options: &mut Options) -> Result<(), InstanceError> {
        if options.execution_segment.is_some() {
            return Err(InstanceError::Segment("executionSegment (--execution-segment)"));
        }
        if options.execution_segment_sequence.is_some() {
            return Err(InstanceError::Segment("executionSegmentSequence (--execution-segment-sequence)"));
        }
        let sequence = SegmentSequence::of_equal(self.count);
        options.execution_segment = sequence.segment(self.index);
        options.execution_segment_sequence = Some(sequence);
        let tags = options.tags.get_or_insert_default();
        tags.entry(TAG.to_owned()).or_insert_with(|| self.index.to_string());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(index: u32, count: u32) -> (String, String) {
        let mut options = Options::default();
        Instance { index, count }.take_part(&mut options).unwrap();
        (
            options.execution_segment.unwrap().to_string(),
            options.execution_segment_sequence.unwrap().to_string(),
        )
    }

    proptest! {
        #[test]
        fn an_instance_is_the_segment_that_would_be_written(count in 1u32..200, at in any::<prop::sample::Index>()) {
            let index = at.index(count as usize) as u32;
            let parse = |text: String| text.parse::<senary_execution::Segment>().unwrap().to_string();
            let written = parse(format!("{index}/{count}:{}/{count}", index + 1));
            let points: Vec<_> = (0..=count).map(|point| format!("{point}/{count}")).collect();
            let sequence = points.join(",").parse::<SegmentSequence>().unwrap().to_string();
            prop_assert_eq!(segment(index, count), (written, sequence));
        }

        #[test]
        fn only_numbers_of_an_instance_make_one(index in -3i64..20, count in -3i64..20) {
            let instance = Instance::new(Some(index), Some(count));
            match instance {
                Ok(instance) => {
                    let (index, count) = (index as u32, count as u32);
                    prop_assert_eq!(instance, Some(Instance { index, count }));
                    prop_assert!(index < count);
                }
                Err(InstanceError::Count(_)) => prop_assert!(count < 1),
                Err(InstanceError::Index { .. }) => prop_assert!(index < 0 || index >= count),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }

    #[test]
    fn one_number_is_not_enough() {
        assert_eq!(Instance::new(None, None), Ok(None));
        assert_eq!(Instance::new(Some(0), None), Err(InstanceError::NoCount));
        assert_eq!(Instance::new(None, Some(4)), Err(InstanceError::NoIndex { count: 4 }));
        assert_eq!(Instance::new(Some(0), Some(10_001)), Err(InstanceError::Count(10_001)));
        assert_eq!(Instance::new(Some(i64::MAX), Some(i64::MAX)), Err(InstanceError::Count(i64::MAX)));
    }
}
