// Announcements among processes: heard by all, joined where they are many, and a lost connection is owned up to.

import PostgreSQL
import SQL
import Synchronization
import TestSupport
import Testing

@Suite("PostgreSQL announcements")
struct AnnouncementTests {
    /// Everything a database hears, as it comes.
    private final class Ear: Sendable {
        private let heard = Mutex<[String]>([])
        private let task = Mutex<Task<Void, Never>?>(nil)

        init(_ database: PostgreSQLDatabase) {
            let stream = database.announcements()
            let task = Task { for await topic in stream { heard.withLock { $0.append(topic) } } }
            self.task.withLock { $0 = task }
        }

        var all: [String] { heard.withLock { $0 } }

        func untilEnd() async { await task.withLock { $0 }?.value }
    }

    /// Both connections listen once each hears the other.
    private func connected(_ one: PostgreSQLDatabase, _ other: PostgreSQLDatabase) async throws -> (Ear, Ear) {
        let ears = (Ear(one), Ear(other))
        try await eventually("both listen") {
            one.announce("from one")
            other.announce("from other")
            return ears.0.all.contains("from other") && ears.1.all.contains("from one")
        }
        return ears
    }

    @Test("all processes hear it, our own as well")
    func everyone() async throws {
        try await withTable { database, place in
            let other = try await place.open()
            let (mine, theirs) = try await connected(database, other)
            database.announce("outbox")
            try await eventually("both hear it") { mine.all.contains("outbox") && theirs.all.contains("outbox") }
            #expect(mine.all.filter { $0 == "outbox" }.count == 1, "not once more through the server")
            await other.close()
            await theirs.untilEnd()
        }
    }

    @Test("a flood is joined to a trickle, and its end is heard")
    func flood() async throws {
        try await withTable { database, place in
            let other = try await place.open()
            let (_, theirs) = try await connected(database, other)
            let started = ContinuousClock.now
            while ContinuousClock.now - started < .milliseconds(500) { database.announce("flood") }
            database.announce("end")
            try await eventually("the end is heard") { theirs.all.contains("end") }
            let count = theirs.all.filter { $0 == "flood" }.count
            #expect((1...12).contains(count), "\(count)")
            await other.close()
        }
    }

    @Test("after a lost connection anything may have happened, and what follows is heard again")
    func loss() async throws {
        try await withTable { database, place in
            let other = try await place.open { $0.longestPause = 0.2 }
            let (_, theirs) = try await connected(database, other)
            #expect(!theirs.all.contains("*"))
            try await place.terminateAll()
            try await eventually("the loss is told") { theirs.all.contains("*") }
            try await eventually("it is heard again") {
                database.announce("again")
                return theirs.all.contains("again")
            }
            await other.close()
        }
    }

    @Test("what cannot be announced is left, and nothing ends by it")
    func odd() async throws {
        try await withTable { database, place in
            let other = try await place.open()
            let (_, theirs) = try await connected(database, other)
            for topic in ["a\u{0}b", String(repeating: "x", count: 9000), "it's; DROP TABLE kept", ""] {
                database.announce(topic)
            }
            database.announce("last")
            try await eventually("the last is heard") { theirs.all.contains("last") }
            #expect(theirs.all.contains("it's; DROP TABLE kept"))
            await other.close()
        }
    }
}
