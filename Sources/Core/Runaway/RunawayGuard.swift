// Notices callers that run away: the same words to the same person over and over, answers to oneself, autoresponders that
// answer each other, mail that goes in circles. Refuses what is a circle; what is a matter of how often, the limiter counts.

package import Mapping
package import Model
package import Rates
package import SQL
import Store
import Synchronization

package final class RunawayGuard: Sendable {
    /// Messages whose first copy is remembered, by each process: some 6 MB.
    static let memory = 65_536

    private let hostname: [UInt8]
    private let sightings: Mutex<Sightings>
    let clock: any WallClock
    let cuts: CutRecorder

    /// - Parameter hostname: our own name, as our Received fields have it.
    package convenience init(database: any SQLDatabase, clock: any WallClock, hostname: String) {
        self.init(database: database, clock: clock, hostname: hostname, memory: Self.memory)
    }

    init(database: any SQLDatabase, clock: any WallClock, hostname: String, memory: Int) {
        self.hostname = Array(hostname.utf8)
        self.clock = clock
        sightings = Mutex(Sightings(capacity: memory))
        cuts = CutRecorder(repository: RunawayRepository(database: database), clock: clock)
    }

    /// Looks at what a caller wants to send.
    /// - Returns: what it costs of the limits of repetitions and of automatic replies. Give it to `withdraw` if the messages
    ///   are not accepted after all, whatever the reason.
    /// - Throws: `mail_loop`.
    package func judge(
        _ messages: [MappedMessage],
        caller: Caller,
        settings: SettingsSnapshot
    ) throws(PosternError) -> RunawayJudgement {
        let repeatLimit = settings.value(Settings.repeatLimit)
        let replyLimit = settings.value(Settings.autoReplyLimit)
        var bill = Bill()
        var copies: [CopyDigest] = []
        for message in messages {
            var reading: Reading?
            for envelope in message.envelopes {
                if let reading, reading.isOf(envelope.content) {
                    try look(at: envelope, reading.signs, replyLimit, &bill)
                } else {
                    let new = Reading(envelope.content, hostname: hostname, isHashed: repeatLimit != nil)
                    reading = new
                    try LoopRule.judge(new.signs)
                    if !new.signs.areHarmless { try LoopRule.judge(message.envelopes, new.signs) }
                    try look(at: envelope, new.signs, replyLimit, &bill)
                }
                if let body = reading?.body { copies.append(CopyDigest(of: envelope, body: body, in: caller.vault)) }
            }
        }
        guard let repeatLimit else { return RunawayJudgement(charges: bill.charges, changes: []) }
        let limit = Self.hourly(repeatLimit)
        let now = clock.now()
        let seen = sightings.withLock { sightings in copies.map { sightings.see($0, at: now, limit: limit.perHour) } }
        for (copy, sight) in zip(copies, seen) where sight.tokens > 0 {
            bill.add(sight.tokens, RateBucket(.repeat, copy.text, limit: limit))
        }
        return RunawayJudgement(charges: bill.charges, changes: seen.map(\.change))
    }

    /// The messages were not accepted after all: they are no copies of anything that may come later.
    package func withdraw(_ judgement: RunawayJudgement) {
        guard !judgement.changes.isEmpty else { return }
        sightings.withLock { sightings in
            for change in judgement.changes.reversed() { sightings.takeBack(change) }
        }
    }

    /// The settings' own checks keep it in range already; a database may hold what another version wrote.
    private static func hourly(_ count: Int) -> RateLimit {
        let count = min(max(count, 1), RateLimit.maximum)
        return RateLimit(perHour: count, burst: count)
    }

    private func look(
        at envelope: Envelope,
        _ signs: HeaderSigns,
        _ limit: Int?,
        _ bill: inout Bill
    ) throws(PosternError) {
        guard signs.isAutomatic else { return }
        try LoopRule.judge(envelope, signs)
        // A program that writes to itself is no answer, but can answer itself one day: it is counted like one.
        guard let limit, signs.isAutomaticReply || envelope.isToItself else { return }
        let pair = CopyDigest(replyFrom: envelope.content.from.address, to: envelope.recipient)
        bill.add(
            1, RateBucket(.autoReply, pair.text, limit: Self.hourly(limit)))
    }
}

/// What a submission costs of the guard's limits.
package struct RunawayJudgement: Sendable {
    /// One a bucket.
    package let charges: [RateCharge]
    let changes: [Sightings.Change]
}

/// What is read of a content once for all the envelopes that share it.
private struct Reading {
    private let content: Envelope.Content
    let signs: HeaderSigns
    let body: BodyDigest?

    init(_ content: Envelope.Content, hostname: [UInt8], isHashed: Bool) {
        self.content = content
        switch content.body {
        case .raw(let message):
            let (signs, bodyStart) = HeaderSigns.read(message.bytes, hostname: hostname)
            self.signs = signs
            body = isHashed ? BodyDigest(message: message.bytes, from: bodyStart) : nil
        case .blocks(let text, let html):
            signs = HeaderSigns(content.headers, hostname: hostname)
            body = isHashed ? BodyDigest(text: text, html: html) : nil
        }
    }

    /// Whether another envelope has the very same header and body. Strings that share their bytes compare in no time.
    func isOf(_ other: Envelope.Content) -> Bool {
        switch (content.body, other.body) {
        case (.raw(let left), .raw(let right)): left === right
        case (.blocks(let text, let html), .blocks(let otherText, let otherHTML)):
            text == otherText && html == otherHTML && content.headers == other.headers
        case (.raw, .blocks), (.blocks, .raw): false
        }
    }
}

/// Charges, one a bucket, in the order in which the buckets came up.
private struct Bill {
    private var tokens: [(bucket: RateBucket, tokens: Int)] = []
    private var places: [RateBucket: Int] = [:]

    mutating func add(_ count: Int, _ bucket: RateBucket) {
        if let place = places[bucket] {
            tokens[place].tokens += count
        } else {
            places[bucket] = tokens.count
            tokens.append((bucket, count))
        }
    }

    var charges: [RateCharge] { tokens.map { RateCharge($0.bucket, tokens: $0.tokens) } }
}
