// Which messages this process has seen of late. Almost every message is seen once, and costs no more than a place in here.

import Model

/// A table of fixed size; who has not been seen for the longest time goes first.
struct Sightings: Sendable {
    private enum Sight {
        /// Seen once, then; no limit has been charged for it yet.
        case once(Timestamp)
        /// Every copy is charged.
        case counted
    }

    /// What a sighting changed here, so that it can be taken back.
    enum Change: Sendable {
        case isNew(CopyDigest)
        case isSecond(CopyDigest, firstAt: Timestamp)
        case none
    }

    private let generation: Int
    /// Two halves: when the newer one is full, the older one goes as a whole.
    private var newer: [CopyDigest: Sight] = [:]
    private var older: [CopyDigest: Sight] = [:]

    /// - Parameter capacity: messages that are remembered at most; half of it at least is remembered always.
    init(capacity: Int) {
        precondition(capacity >= 2, "a table without places")
        generation = capacity / 2
    }

    var count: Int { newer.count + older.count }

    /// One more copy.
    /// - Parameter limit: copies that may go in an hour.
    /// - Returns: how many the limit is to be charged for: none at first, then also for the first one, unless so long ago
    ///   that the limit has forgotten it.
    mutating func see(_ digest: CopyDigest, at now: Timestamp, limit: Int) -> (tokens: Int, change: Change) {
        let known = newer[digest] ?? older.removeValue(forKey: digest)
        switch known {
        case nil:
            remember(digest, .once(now))
            return (0, .isNew(digest))
        case .once(let firstAt):
            remember(digest, .counted)
            let isForgotten = (now.milliseconds - firstAt.milliseconds) * Int64(limit) >= 3_600_000
            return (isForgotten ? 1 : 2, .isSecond(digest, firstAt: firstAt))
        case .counted:
            remember(digest, .counted)
            return (1, .none)
        }
    }

    /// The copy did not go after all.
    mutating func takeBack(_ change: Change) {
        switch change {
        case .isNew(let digest):
            // A second copy that came meanwhile was charged for both, and stays so.
            if case .once = newer[digest] ?? older[digest] {
                newer[digest] = nil
                older[digest] = nil
            }
        case .isSecond(let digest, let firstAt):
            if newer[digest] ?? older[digest] != nil { remember(digest, .once(firstAt)) }
        case .none: break
        }
    }

    private mutating func remember(_ digest: CopyDigest, _ sight: Sight) {
        if newer.count >= generation, newer[digest] == nil {
            older = newer
            newer = [:]
            newer.reserveCapacity(generation)
        }
        older[digest] = nil
        newer[digest] = sight
    }
}
