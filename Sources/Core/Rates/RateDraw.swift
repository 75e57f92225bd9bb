// One visit to the shared buckets on behalf of many takes: what is asked for, and what comes of it. Pure: the database
// only holds the rows meanwhile.

import Model
import Store

/// What a submission wants, each bucket once.
struct RateTake: Sendable {
    let vault: VaultID
    let charges: [RateCharge]

    init(_ charges: [RateCharge], in vault: VaultID) {
        self.vault = vault
        self.charges = Self.merged(charges)
    }

    private static func merged(_ charges: [RateCharge]) -> [RateCharge] {
        guard !isSimple(charges) else { return charges }
        var places: [RateBucket: Int] = [:]
        var merged: [RateCharge] = []
        for charge in charges where charge.tokens > 0 {
            if let place = places[charge.bucket] {
                merged[place] = RateCharge(charge.bucket, tokens: merged[place].tokens + charge.tokens)
            } else {
                places[charge.bucket] = merged.count
                merged.append(charge)
            }
        }
        return merged
    }

    /// Almost always there is nothing to merge, and no table is made to find that out.
    private static func isSimple(_ charges: [RateCharge]) -> Bool {
        guard charges.count <= 8 else { return false }
        for (index, charge) in charges.enumerated() {
            guard charge.tokens > 0 else { return false }
            for earlier in charges[..<index]
            where earlier.bucket.kind == charge.bucket.kind && earlier.bucket.name == charge.bucket.name {
                return false
            }
        }
        return true
    }
}

struct RateDraw: Sendable {
    struct Bucket: Sendable {
        let key: RateBook.Key
        var limit: RateLimit
        /// What this process held of it: goes back before anything is taken.
        let returned: Int
        /// Tokens that may be drawn ahead, the takes' own included; 0: only what is needed.
        var block: Int
    }

    struct Outcome: Sendable {
        /// In the order of `buckets`: the bucket afterwards, and what was drawn ahead of it.
        let buckets: [(state: TokenBucket, block: Int)]
        /// In the order of `takes`; `nil` for one that was granted.
        let takes: [RateRefusal?]
    }

    let now: Timestamp
    private(set) var buckets: [Bucket] = []
    private(set) var takes: [(take: RateTake, buckets: [Int])] = []
    private var places: [RateBook.Key: Int] = [:]

    init(at now: Timestamp) { self.now = now }

    var isEmpty: Bool { buckets.isEmpty }

    func holds(_ key: RateBook.Key) -> Bool { places[key] != nil }

    /// Whether the draw holds no more buckets than so many when it serves this take as well.
    func fits(_ take: RateTake, within limit: Int) -> Bool {
        // Most takes fit even where they share no bucket with the others, and none is looked for then.
        guard buckets.count + take.charges.count > limit else { return true }
        let fresh = take.charges.count { !holds(RateBook.Key($0.bucket, in: take.vault)) }
        return buckets.count + fresh <= limit
    }

    mutating func add(_ bucket: Bucket) {
        places[bucket.key] = buckets.count
        buckets.append(bucket)
    }

    /// Adds a take whose buckets were all added.
    mutating func add(_ take: RateTake) {
        let indices = take.charges.map { charge -> Int in
            guard let place = places[RateBook.Key(charge.bucket, in: take.vault)] else {
                preconditionFailure("a take without its bucket")
            }
            // Settings may have changed between two takes: the later one knows better.
            buckets[place].limit = charge.bucket.limit
            return place
        }
        takes.append((take, indices))
    }

    /// The buckets by vault, as they are where there is no row yet.
    var fresh: [VaultID: [RateRow]] {
        var rows: [VaultID: [RateRow]] = [:]
        for bucket in buckets {
            let row = TokenBucket(full: bucket.limit, at: now).row(named: bucket.key.text)
            rows[bucket.key.vault, default: []].append(row)
        }
        return rows
    }

    /// What the draw does to the rows, which are in the places of `fresh`.
    func settle(_ rows: inout [VaultID: [RateRow]]) -> Outcome {
        var (states, untouched) = opened(rows)
        let available = states.map(\.tokens)
        var taken = [Int](repeating: 0, count: buckets.count)
        let refusals = takes.map { take, indices -> RateRefusal? in
            let shortages = zip(take.charges, indices).compactMap { charge, index in
                charge.tokens <= states[index].tokens
                    ? nil : RateRefusal.Shortage(charge: charge, state: states[index])
            }
            guard shortages.isEmpty else { return RateRefusal(shortages: shortages) }
            for (charge, index) in zip(take.charges, indices) {
                guard states[index].take(charge.tokens) else {
                    preconditionFailure("tokens that were counted are gone")
                }
                taken[index] += charge.tokens
                untouched[index] = false
            }
            return nil
        }
        var outcome: [(state: TokenBucket, block: Int)] = []
        var next: [VaultID: Int] = [:]
        for (index, bucket) in buckets.enumerated() {
            let wanted = taken[index] > 0 ? min(available[index] / 8, bucket.block) - taken[index] : 0
            let block = max(min(wanted, states[index].tokens), 0)
            _ = states[index].take(block)
            outcome.append((states[index], block))
            let place = next[bucket.key.vault, default: 0]
            next[bucket.key.vault] = place + 1
            // A bucket of which nothing was taken is worth no write: it is what it was.
            if !untouched[index] { rows[bucket.key.vault]?[place] = states[index].row(named: bucket.key.text) }
        }
        return Outcome(buckets: outcome, takes: refusals)
    }

    /// The buckets as they are now, with what this process held of them, under the limits that hold now.
    private func opened(_ rows: [VaultID: [RateRow]]) -> (states: [TokenBucket], untouched: [Bool]) {
        var states: [TokenBucket] = []
        var untouched: [Bool] = []
        var next: [VaultID: Int] = [:]
        for bucket in buckets {
            let place = next[bucket.key.vault, default: 0]
            next[bucket.key.vault] = place + 1
            var state =
                rows[bucket.key.vault].map { TokenBucket($0[place]) } ?? TokenBucket(full: bucket.limit, at: now)
            untouched.append(bucket.returned == 0 && state.limit == bucket.limit)
            state.advance(to: now)
            state.put(bucket.returned)
            state.change(to: bucket.limit, at: now)
            states.append(state)
        }
        return (states, untouched)
    }
}
