// What a person may still do to a message: stop it before it leaves, send it again when it did not arrive.

import CoreTestSupport
import Model
import SQL
import Store
import Testing

@Suite("Cancel and retry")
struct CancelAndRetryTests {
    private func force(_ status: MessageStatus, _ id: MessageID, _ house: TestHouse) async throws {
        try await house.database.write { connection in
            try connection.execute("UPDATE smtp_relay_logs SET status = \(status.rawValue) WHERE id = \(id.text)")
            if status.isFinal { try connection.execute("DELETE FROM outbox WHERE message_id = \(id.text)") }
            if status == .inFlight {
                try connection.execute(
                    "UPDATE outbox SET ready = 0, lease_owner = 'somebody' WHERE message_id = \(id.text)")
            }
        }
    }

    @Test("a message that has not left is cancelled, any other is not", arguments: MessageStatus.allCases)
    func cancelling(_ status: MessageStatus) async throws {
        try await withHouse { house in
            let repository = MessageRepository(database: house.database)
            let id = try await house.accept()[0]
            try await force(status, id, house)
            let result = try #require(
                try await repository.cancel(
                    id, in: house.vault.id, event: house.event(.cancelled), audit: house.audit(as: "message.cancel")))
            let isCancellable = status == .scheduled || status == .queued
            #expect(result.moved == isCancellable)
            #expect(result.message.status == (isCancellable ? .cancelled : status))
            let cancelled = try await repository.events(of: id, in: house.vault.id).count { $0.type == .cancelled }
            #expect(cancelled == (isCancellable ? 1 : 0))
            #expect(try await house.database.count("outbox") == (isCancellable || status.isFinal ? 0 : 1))
        }
    }

    @Test(
        "a message that did not arrive starts again, with a new deadline and its priority",
        arguments: MessageStatus.allCases)
    func retrying(_ status: MessageStatus) async throws {
        try await withHouse { house in
            let repository = MessageRepository(database: house.database)
            let id = try await house.accept { $0.priority = 77 }[0]
            try await force(status, id, house)
            house.clock.advance(seconds: 100)
            let deadline = house.clock.now().adding(seconds: 500)
            let result = try #require(
                try await repository.retry(
                    id, in: house.vault.id, event: house.event(.retried), deadline: deadline,
                    audit: house.audit(as: "message.retry")))
            let startsAgain: Set<MessageStatus> = [.bounced, .failed, .expired, .cancelled]
            #expect(result.moved == (startsAgain.contains(status) || status == .queued))
            let after = try #require(try await repository.find(id, in: house.vault.id))
            #expect(after.status == (startsAgain.contains(status) ? .queued : status))
            if startsAgain.contains(status) {
                #expect(after.deadline == deadline)
                #expect(result.message.status == .queued)
            }
            let retried = try await repository.events(of: id, in: house.vault.id).count { $0.type == .retried }
            #expect(retried == (result.moved ? 1 : 0))
            if result.moved {
                #expect(try await house.database.count("outbox", where: "ready = 1 AND priority = 77") == 1)
            }
        }
    }

    @Test("a message that waits for its next try is pulled forward")
    func pulledForward() async throws {
        try await withHouse { house in
            let repository = MessageRepository(database: house.database)
            let id = try await house.accept()[0]
            let later = house.clock.now().adding(seconds: 900)
            try await house.database.write { connection in
                try connection.execute("UPDATE outbox SET ready = 0, due_at = \(later.milliseconds)")
            }
            let result = try #require(
                try await repository.retry(
                    id, in: house.vault.id, event: house.event(.retried),
                    deadline: house.clock.now().adding(seconds: 1), audit: house.audit(as: "message.retry")
                ))
            #expect(result.moved)
            #expect(try await OutboxRepository(database: house.database, owner: "a").depth() == (waiting: 0, ready: 1))
        }
    }

    @Test("another vault's message is not there")
    func tenancy() async throws {
        try await withHouse { house in
            let repository = MessageRepository(database: house.database)
            let other = try await house.neighbour().vault
            let id = try await house.accept()[0]
            let cancelled = try await repository.cancel(
                id, in: other.id, event: house.event(.cancelled), audit: house.audit(as: "message.cancel"))
            #expect(cancelled?.moved == nil)
            try await force(.bounced, id, house)
            let retried = try await repository.retry(
                id, in: other.id, event: house.event(.retried), deadline: house.clock.now(),
                audit: house.audit(as: "message.retry"))
            #expect(retried?.moved == nil)
            #expect(try await repository.find(id, in: house.vault.id)?.status == .bounced)
            #expect(try await house.database.count("message_events", where: "type IN ('cancelled', 'retried')") == 0)
        }
    }
}
