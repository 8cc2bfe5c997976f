//! Whether two heaps of times can be told apart.

/// Largest |t| of Welch's test between two classes that are one.
pub(super) const T_MAX: f64 = 4.5;
/// Largest distance of the area under the curve from one half: who guesses the class from one time is right no
/// more often than this beyond half of the time.
pub(super) const AUC_OFF_MAX: f64 = 0.03;

/// The times of one class, in nanoseconds, ascending.
#[derive(Debug, Clone, Default)]
pub(super) struct Times(Vec<f64>);

impl Times {
    /// In any order.
    pub(super) fn new(mut nanos: Vec<f64>) -> Self {
        nanos.sort_by(f64::total_cmp);
        Self(nanos)
    }

    fn size(&self) -> f64 {
        f64::from(u32::try_from(self.0.len()).unwrap())
    }

    pub(super) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.size()
    }

    pub(super) fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    fn variance(&self) -> f64 {
        let mean = self.mean();
        self.0.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (self.size() - 1.0)
    }

    /// How far the middle half of them is spread.
    pub(super) fn middle_half(&self) -> f64 {
        self.0[self.0.len() * 3 / 4] - self.0[self.0.len() / 4]
    }
}

/// Welch's t: how many standard errors the means are apart.
pub(super) fn welch(a: &Times, b: &Times) -> f64 {
    let error = (a.variance() / a.size() + b.variance() / b.size()).sqrt();
    if error > 0.0 { (a.mean() - b.mean()) / error } else { 0.0 }
}

/// How probable it is that a time of `b` is longer than one of `a`, where equal ones count half.
pub(super) fn auc(a: &Times, b: &Times) -> f64 {
    let (mut below, mut equal, mut won) = (0_usize, 0_usize, 0.0_f64);
    for time in &b.0 {
        while a.0.get(below).is_some_and(|other| other < time) {
            below += 1;
        }
        equal = equal.max(below);
        while a.0.get(equal).is_some_and(|other| other == time) {
            equal += 1;
        }
        let number = |count: usize| f64::from(u32::try_from(count).unwrap());
        won += number(below) + number(equal - below) / 2.0;
    }
    won / (a.size() * b.size())
}

/// How far two classes are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Apart {
    pub(super) t: f64,
    pub(super) auc: f64,
}

impl Apart {
    pub(super) fn of(a: &Times, b: &Times) -> Self {
        Self { t: welch(a, b), auc: auc(a, b) }
    }

    /// Whether nobody could tell.
    pub(super) fn is_one(self) -> bool {
        self.t.abs() < T_MAX && (self.auc - 0.5).abs() <= AUC_OFF_MAX
    }
}

#[test]
fn the_area_under_the_curve_counts_pairs() {
    let times = |list: &[f64]| Times::new(list.to_vec());
    assert!((auc(&times(&[1.0, 2.0]), &times(&[3.0, 4.0])) - 1.0).abs() < 1e-9);
    assert!((auc(&times(&[3.0, 4.0]), &times(&[1.0, 2.0])) - 0.0).abs() < 1e-9);
    assert!((auc(&times(&[1.0, 3.0]), &times(&[2.0, 3.0])) - 0.625).abs() < 1e-9);
    assert!((auc(&times(&[5.0; 7]), &times(&[5.0; 3])) - 0.5).abs() < 1e-9);
}

#[test]
fn welch_is_the_difference_in_standard_errors() {
    let (a, b) = (Times::new(vec![1.0, 2.0, 3.0, 4.0]), Times::new(vec![3.0, 4.0, 5.0, 6.0]));
    assert!((welch(&b, &a) - 2.0 / (2.0 * (5.0 / 3.0) / 4.0_f64).sqrt()).abs() < 1e-9);
}

#[test]
fn five_thousand_samples_show_a_tenth_of_a_deviation_and_no_difference_that_is_not_there() {
    let mut chance = crate::types::Chance::from_seed([6; 32]);
    // The sum of twelve uniform values is all but normal, with a deviation of one.
    let mut heap = |shift: f64| {
        let uniform = |chance: &mut crate::types::Chance| {
            f64::from(u32::try_from(chance.below(1 << 30)).unwrap()) / f64::from(1_u32 << 30)
        };
        let one = |chance: &mut crate::types::Chance| (0..12).map(|_| uniform(chance)).sum::<f64>() + shift;
        Times::new((0..5_000).map(|_| one(&mut chance)).collect())
    };
    let (a, b, c) = (heap(0.0), heap(0.0), heap(0.15));
    assert!(Apart::of(&a, &b).is_one(), "{:?}", Apart::of(&a, &b));
    assert!(!Apart::of(&a, &c).is_one(), "{:?}", Apart::of(&a, &c));
}
