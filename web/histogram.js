// Histograms of the time line: which values a bucket holds, sums of intervals, percentiles of what was summed up. Pure.
(function (S) {
  "use strict";

  /** Buckets as the document describes them: `per_octave` equal steps between powers of two, from 2^lowest on. */
  class Buckets {
    constructor({ per_octave, lowest }) {
      this.perOctave = per_octave;
      this.lowest = lowest;
    }

    /** The lower limit of a bucket, which is the upper limit of the one before. */
    lower(bucket) {
      const octave = Math.floor(bucket / this.perOctave);
      return 2 ** (this.lowest + octave) * (1 + (bucket - octave * this.perOctave) / this.perOctave);
    }

    middle(bucket) {
      return (this.lower(bucket) + this.lower(bucket + 1)) / 2;
    }
  }

  /** Counts by bucket, added up from intervals. */
  class Sum {
    constructor(buckets) {
      this.buckets = buckets;
      this.counts = new Map();
      this.total = 0;
      this.min = Infinity;
      this.max = -Infinity;
      this.sorted = null;
    }

    /** Adds the sparse list of one interval: bucket, count, bucket, count … */
    add(sparse) {
      if (!sparse) return;
      for (let i = 0; i < sparse.length; i += 2) {
        this.counts.set(sparse[i], (this.counts.get(sparse[i]) || 0) + sparse[i + 1]);
        this.total += sparse[i + 1];
      }
      this.sorted = null;
    }

    /** Exact bounds, where they are known, keep a percentile from leaving the values that there were. */
    bound(min, max) {
      if (min !== null && min !== undefined) this.min = Math.min(this.min, min);
      if (max !== null && max !== undefined) this.max = Math.max(this.max, max);
    }

    /** The value below which the share `p` of 0 to 1 lies; null without values. */
    percentile(p) {
      if (this.total === 0) return null;
      this.sorted ??= [...this.counts].sort((a, b) => a[0] - b[0]);
      const rank = p * (this.total - 1);
      let before = 0;
      for (const [bucket, count] of this.sorted) {
        if (before + count > rank) {
          // The lowest bucket has zeros, and what nobody tells from 0; between them nothing is to be interpolated.
          if (bucket === 0) return Math.min(Math.max(0, this.min === Infinity ? 0 : this.min), this.max === -Infinity ? 0 : this.max);
          const low = this.buckets.lower(bucket);
          const high = this.buckets.lower(bucket + 1);
          const value = low + ((high - low) * (rank - before + 0.5)) / count;
          return Math.min(Math.max(value, this.min === Infinity ? low : this.min), this.max === -Infinity ? high : this.max);
        }
        before += count;
      }
      return this.max === -Infinity ? null : this.max;
    }

    /** The percentile curve, twenty points for each step that is ten times rarer, while at least ten samples lie beyond. */
    curve() {
      const points = [];
      for (let i = 0; i <= 80; i += 1) {
        const rarity = 10 ** (-i / 20);
        if (this.total * rarity < 10) break;
        points.push([100 * (1 - rarity), this.percentile(1 - rarity)]);
      }
      return points;
    }
  }

  /** The sum of the intervals of `series` that lie in `[from, to)`. */
  function join(buckets, series, from, to, into) {
    const sum = into || new Sum(buckets);
    const { every, data } = series.hist;
    for (let entry = Math.floor(from / every); entry * every < to && entry < data.length; entry += 1) sum.add(data[entry]);
    const { min, max } = series.trend;
    for (let i = from; i < to; i += 1) sum.bound(min[i], max[i]);
    return sum;
  }

  S.histogram = { Buckets, Sum, join };
})((globalThis.Senary ??= {}));
