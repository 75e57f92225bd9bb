// What this process holds of each bucket, and what it saw of it last: answers most takes without the database. A value
// that knows nothing of threads.

import Model

struct RateBook: Sendable {
    struct Key: Hashable, Sendable {
        let kind: RateBucket.Kind
        let name: String
        let vault: VaultID

        init(_ bucket: RateBucket, in vault: VaultID) {
            kind = bucket.kind
            name = bucket.name
            self.vault = vault
        }

        var text: String { RateBucket.text(kind, name) }
    }

    enum Answer {
        case granted(RateGrant)
        case refused(RateRefusal)
        /// Only the shared buckets can tell.
        case unknown
    }

    private struct Entry {
        var limit: RateLimit
        /// Tokens that were drawn and not used.
        var block = 0
        /// The shared bucket as this process left it.
        var seen: TokenBucket?
        var seenAt: Timestamp
        /// When somebody last took from it.
        var usedAt: Timestamp
        var drawnAt: Timestamp?
        /// A draw is on its way; what was held went with it.
        var isDrawing = false
        /// Others may be waiting for what is held: it goes back at the next opportunity.
        var returnsSoon = false
    }

    /// Milliseconds that a refusal may be repeated without asking again.
    private static let memory: Int64 = 1_000
    /// Milliseconds without use after which what is held goes back.
    private static let idle: Int64 = 2_000
    /// Milliseconds without use after which a bucket is forgotten here.
    private static let forgotten: Int64 = 60_000

    /// Seconds of a limit's rate that are drawn ahead: what a crash may lose.
    private let window: Int
    /// Buckets that are remembered at most, beside those of which something is held.
    private let capacity: Int
    private var entries: [Key: Entry] = [:]
    private var isStopped = false

    init(window: Int, capacity: Int) {
        self.window = window
        self.capacity = capacity
    }

    var count: Int { entries.count }

    /// Tokens that are held of a bucket.
    func held(_ key: Key) -> Int { entries[key]?.block ?? 0 }

    /// From now on only what is needed is drawn.
    mutating func stop() { isStopped = true }

    /// Takes all charges from what is held, or none.
    mutating func take(_ take: RateTake, at now: Timestamp) -> Answer {
        var taken = 0
        for charge in take.charges {
            guard let index = entries.index(forKey: Key(charge.bucket, in: take.vault)),
                entries.values[index].limit == charge.bucket.limit,
                entries.values[index].block >= charge.tokens
            else { break }
            entries.values[index].block -= charge.tokens
            taken += 1
        }
        guard taken < take.charges.count else { return .granted(grant(take, at: now)) }
        for charge in take.charges[..<taken] {
            entries[Key(charge.bucket, in: take.vault)]?.block += charge.tokens
        }
        return refusal(of: take, at: now).map(Answer.refused) ?? .unknown
    }

    /// What is known without asking: a charge above the burst never passes, and a bucket that was empty a moment ago is
    /// so still.
    private func refusal(of take: RateTake, at now: Timestamp) -> RateRefusal? {
        let impossible = take.charges.filter { $0.tokens > $0.bucket.limit.burst }
        if !impossible.isEmpty {
            return RateRefusal(shortages: impossible.map { .init(charge: $0, state: nil) })
        }
        let shortages = take.charges.compactMap { charge -> RateRefusal.Shortage? in
            guard let entry = entries[Key(charge.bucket, in: take.vault)], !entry.isDrawing,
                entry.limit == charge.bucket.limit, Self.isWithin(Self.memory, entry.seenAt, now),
                var state = entry.seen
            else { return nil }
            state.advance(to: now)
            state.put(entry.block)
            return state.tokens < charge.tokens ? .init(charge: charge, state: state) : nil
        }
        return shortages.isEmpty ? nil : RateRefusal(shortages: shortages)
    }

    /// The grant with its tightest bucket: of those that callers know as limits.
    private mutating func grant(_ take: RateTake, at now: Timestamp) -> RateGrant {
        var tightest: (bucket: RateBucket, remaining: Int, resetSeconds: Int)?
        for charge in take.charges {
            guard let index = entries.index(forKey: Key(charge.bucket, in: take.vault)) else { continue }
            entries.values[index].usedAt = now
            switch charge.bucket.kind {
            case .vault, .key, .own, .agent, .domain, .calls: break
            case .approval, .repeat, .autoReply: continue
            }
            guard var state = entries.values[index].seen else { continue }
            state.advance(to: now)
            state.put(entries.values[index].block)
            if let tightest, tightest.remaining <= state.tokens { continue }
            tightest = (charge.bucket, state.tokens, now.seconds(until: state.time(of: state.limit.burst)))
        }
        return RateGrant(vault: take.vault, charges: take.charges, tightest: tightest)
    }

    private static func isWithin(_ milliseconds: Int64, _ since: Timestamp, _ now: Timestamp) -> Bool {
        // Clocks are set back at times: what comes from the future is old.
        (0..<milliseconds).contains(now.milliseconds - since.milliseconds)
    }
}

// Draws.
extension RateBook {
    /// A draw for these takes, which also gives back what is held of other buckets.
    /// - Parameter limit: buckets that it holds at most. The first take gets all of its own, however many; the draw ends
    ///   before one that does not fit any more, so that none is overtaken for ever.
    mutating func plan(
        _ takes: [RateTake],
        upTo limit: Int = .max,
        returning keys: [Key],
        at now: Timestamp
    ) -> RateDraw {
        var draw = RateDraw(at: now)
        if entries.count >= capacity { forget() }
        for take in takes {
            guard draw.isEmpty || draw.fits(take, within: limit) else { break }
            for charge in take.charges {
                let key = Key(charge.bucket, in: take.vault)
                guard !draw.holds(key) else { continue }
                var entry =
                    entries[key] ?? Entry(limit: charge.bucket.limit, seenAt: now, usedAt: now)
                // Who comes only once in a while would not use what it drew ahead.
                let isBusy = entry.drawnAt.map { Self.isWithin(Int64(window) * 1000, $0, now) } ?? false
                draw.add(
                    RateDraw.Bucket(
                        key: key, limit: charge.bucket.limit, returned: entry.block,
                        block: isBusy && !isStopped ? ahead(charge.bucket.limit) : 0))
                entry.limit = charge.bucket.limit
                entry.block = 0
                entry.isDrawing = true
                entry.returnsSoon = false
                entry.drawnAt = now
                entries[key] = entry
            }
            draw.add(take)
        }
        for key in keys where !draw.holds(key) {
            guard let entry = entries[key], entry.block > 0, !entry.isDrawing else { continue }
            draw.add(RateDraw.Bucket(key: key, limit: entry.limit, returned: entry.block, block: 0))
            entries[key]?.block = 0
            entries[key]?.isDrawing = true
            entries[key]?.returnsSoon = false
        }
        return draw
    }

    private func ahead(_ limit: RateLimit) -> Int { limit.perHour * window / 3600 }

    /// - Returns: the answers to the draw's takes.
    mutating func settle(_ draw: RateDraw, _ outcome: RateDraw.Outcome) -> [Answer] {
        for (bucket, result) in zip(draw.buckets, outcome.buckets) {
            guard let index = entries.index(forKey: bucket.key) else { continue }
            entries.values[index].limit = bucket.limit
            entries.values[index].block += result.block
            entries.values[index].seen = result.state
            entries.values[index].seenAt = draw.now
            entries.values[index].isDrawing = false
        }
        return zip(draw.takes, outcome.takes).map { take, refusal in
            refusal.map(Answer.refused) ?? .granted(grant(take.take, at: draw.now))
        }
    }

    /// A draw that failed.
    /// - Parameter isUndone: nothing was written for certain. Otherwise what went with it may be in the database
    ///   already: it is
    ///   lost rather than counted twice.
    mutating func fail(_ draw: RateDraw, isUndone: Bool) {
        for bucket in draw.buckets {
            guard let index = entries.index(forKey: bucket.key) else { continue }
            if isUndone, bucket.returned > 0 {
                entries.values[index].block += bucket.returned
                entries.values[index].returnsSoon = true
            }
            entries.values[index].seen = nil
            entries.values[index].isDrawing = false
        }
    }
}

// Going back.
extension RateBook {
    mutating func giveBack(_ grant: RateGrant, at now: Timestamp) {
        for charge in grant.charges {
            let limit = charge.bucket.limit
            let key = Key(charge.bucket, in: grant.vault)
            var entry = entries[key] ?? Entry(limit: limit, seenAt: now, usedAt: now)
            entry.block = min(entry.block + charge.tokens, limit.burst)
            entry.returnsSoon = isStopped || entry.returnsSoon || entry.block > ahead(limit)
            entries[key] = entry
        }
    }

    /// Buckets of which something is held that should go back now. Forgets those that nobody used for long.
    mutating func idle(at now: Timestamp, all: Bool, limit: Int) -> [Key] {
        var keys: [Key] = []
        var old: [Key] = []
        for (key, entry) in entries where !entry.isDrawing {
            if entry.block == 0 {
                if !Self.isWithin(Self.forgotten, entry.usedAt, now) { old.append(key) }
            } else if all || entry.returnsSoon || !Self.isWithin(Self.idle, entry.usedAt, now), keys.count < limit {
                keys.append(key)
            }
        }
        for key in old { entries[key] = nil }
        return keys
    }

    /// Makes room: what is only remembered can be asked for again.
    private mutating func forget() {
        entries = entries.filter { $0.value.isDrawing || $0.value.block > 0 }
    }
}
