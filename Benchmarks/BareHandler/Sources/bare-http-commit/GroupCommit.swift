// Group commit: whatever arrived while the last transaction was being synced shares the next one.

import Dispatch
import NIOCore
import Synchronization

final class GroupCommit: Sendable {
    private struct Entry: Sendable {
        let body: ByteBuffer
        let written: EventLoopPromise<Int64>
    }

    private struct Waiting {
        var entries: [Entry] = []
        var isDraining = false
    }

    private let waiting = Mutex(Waiting())
    private let log: Mutex<Log>
    private let queue = DispatchQueue(label: "group-commit")

    init(log: consuming sending Log) { self.log = Mutex(log) }

    /// Succeeds with the row's id once it is on disk.
    func write(_ body: ByteBuffer, on eventLoop: any EventLoop) -> EventLoopFuture<Int64> {
        let entry = Entry(body: body, written: eventLoop.makePromise())
        let mustStart = waiting.withLock { waiting in
            waiting.entries.append(entry)
            defer { waiting.isDraining = true }
            return !waiting.isDraining
        }
        if mustStart { queue.async { self.drain() } }
        return entry.written.futureResult
    }

    private func drain() {
        while let batch = nextBatch() {
            let result = Result { try commit(batch) }
            // One hop a loop, not one a request.
            for group in Dictionary(
                grouping: batch.indices,
                by: { ObjectIdentifier(batch[$0].written.futureResult.eventLoop) }
            )
            .values {
                batch[group[0]].written.futureResult.eventLoop.execute {
                    for index in group { batch[index].written.completeWith(result.map { $0[index] }) }
                }
            }
        }
    }

    private func nextBatch() -> [Entry]? {
        waiting.withLock { waiting in
            guard !waiting.entries.isEmpty else {
                waiting.isDraining = false
                return nil
            }
            defer { waiting.entries.removeAll(keepingCapacity: true) }
            return waiting.entries
        }
    }

    private func commit(_ batch: [Entry]) throws -> [Int64] {
        try log.withLock { log in
            try log.begin()
            let ids = try batch.map { entry in
                try entry.body.withUnsafeReadableBytes { try log.append($0) }
            }
            try log.commit()
            return ids
        }
    }
}
