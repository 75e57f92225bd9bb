// Writes down who was cut off, for the alert: in memory first, and then together, because a caller that runs away is
// refused a thousand times a second.

package import Model
import ServiceLifecycle
import Store
import Synchronization

final class CutRecorder: Sendable {
    /// Seconds between two writes about the same caller and reason.
    static let interval: Double = 1
    /// Callers and reasons that are held at once; more are not taken up until there is room.
    static let limit = 10_000

    private struct Key: Hashable, Comparable {
        let vault: VaultID
        let caller: String
        let reason: String

        static func < (left: Key, right: Key) -> Bool {
            (left.vault.text, left.caller, left.reason) < (right.vault.text, right.caller, right.reason)
        }
    }

    private struct Entry {
        /// What is not written down yet.
        var cut: RunawayCut?
        var writtenAt: Timestamp?
    }

    private let repository: RunawayRepository
    private let clock: any WallClock
    private let entries = Mutex<[Key: Entry]>([:])

    init(repository: RunawayRepository, clock: any WallClock) {
        self.repository = repository
        self.clock = clock
    }

    /// Takes note of one cut-off, and writes down what is due.
    func note(_ error: PosternError, caller: Caller) async {
        if remember(error, caller: caller) { await write(at: clock.now()) }
    }

    /// - Returns: whether it should be written down now.
    func remember(_ error: PosternError, caller: Caller) -> Bool {
        let now = clock.now()
        let cut = RunawayCut(
            vault: caller.vault, caller: caller.identity.id, label: caller.label, reason: error.code.rawValue, cuts: 1,
            detail: error.detail, firstAt: now, lastAt: now)
        return entries.withLock { entries in
            Self.add(cut, to: &entries)
            return entries[Self.key(cut)].map { Self.isDue($0, at: now) } ?? false
        }
    }

    /// Writes down what is due. What cannot be written stays for the next time.
    /// - Parameter everything: also what was written a moment ago.
    func write(at now: Timestamp, everything: Bool = false) async {
        let due = entries.withLock { entries -> [RunawayCut] in
            var due: [RunawayCut] = []
            for key in entries.keys.sorted() {
                guard let entry = entries[key], everything || Self.isDue(entry, at: now) else { continue }
                entries[key] = entry.cut == nil ? nil : Entry(cut: nil, writtenAt: now)
                if let cut = entry.cut { due.append(cut) }
            }
            return due
        }
        guard !due.isEmpty else { return }
        do {
            try await repository.record(due)
        } catch {
            // The database's own alert says it aloud; the count is not lost meanwhile.
            entries.withLock { entries in for cut in due { Self.add(cut, to: &entries) } }
        }
    }

    var count: Int { entries.withLock { $0.count } }

    private static func key(_ cut: RunawayCut) -> Key { Key(vault: cut.vault, caller: cut.caller, reason: cut.reason) }

    private static func add(_ cut: RunawayCut, to entries: inout [Key: Entry]) {
        let key = key(cut)
        guard entries[key] != nil || entries.count < limit else { return }
        var entry = entries[key] ?? Entry()
        entry.cut = entry.cut?.adding(cut) ?? cut
        entries[key] = entry
    }

    /// A clock that was set back delays nothing.
    private static func isDue(_ entry: Entry, at now: Timestamp) -> Bool {
        guard let writtenAt = entry.writtenAt else { return true }
        return now >= writtenAt.adding(seconds: interval) || now < writtenAt
    }
}

extension RunawayGuard {
    /// Takes note of a refusal for the alert, if the guard had a part in it. Never fails, and seldom costs a write.
    package func cut(_ error: PosternError, caller: Caller) async {
        switch error.code {
        case .repeatedMessage, .mailLoop: await cuts.note(error, caller: caller)
        default: break
        }
    }
}

extension RunawayGuard: Service {
    /// Sees to it that the last cut-offs of a burst are written down too.
    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                await writeCuts()
                // What came in meanwhile is written together, so that a flood of refusals costs one write.
                try? await Task.sleep(for: .seconds(CutRecorder.interval))
            }
        }
        await writeCuts(everything: true)
    }

    private func writeCuts(everything: Bool = false) async {
        await cuts.write(at: clock.now(), everything: everything)
    }
}
