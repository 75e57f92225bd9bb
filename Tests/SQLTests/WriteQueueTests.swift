// The queue before every engine's one writer: bounded, in order, and nobody is left without an answer.

import SQL
import Synchronization
import Testing

@Suite("Write queue")
struct WriteQueueTests {
    private final class Answer: Sendable {
        private let result = Mutex<Result<Bool, SQLError>?>(nil)
        var value: Result<Bool, SQLError>? { result.withLock { $0 } }
        func give(_ value: Result<Bool, SQLError>) { result.withLock { $0 = value } }
    }

    /// Adds a job whose answer nobody waits for; says what the queue said.
    private func add(_ queue: WriteQueue, cost: Int = 1) async throws -> Bool {
        let answer = Answer()
        // A job needs a continuation, so that a task of its own waits for it.
        Task {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let job = WriteJob({ _ in }, continuation)
                let result = Result { () throws(SQLError) in try queue.add(job, cost: cost) }
                if case .failure(let error) = result { job.refuse(error) }
                answer.give(result)
            }
        }
        while true {
            if let result = answer.value { return try result.get() }
            await Task.yield()
        }
    }

    private func answerAll(_ queue: WriteQueue) {
        while let batch = queue.take(), !batch.isEmpty {
            for job in batch { job.refuse(SQLError(.unavailable, "the test is over")) }
        }
    }

    @Test("the writer is woken by the first job only")
    func waking() async throws {
        let queue = WriteQueue()
        #expect(try await add(queue))
        #expect(try await !add(queue))
        #expect(queue.depth == 2)
        answerAll(queue)
        #expect(try await add(queue))
        answerAll(queue)
    }

    @Test("a full queue refuses as overloaded, and takes again when it has room")
    func jobLimit() async throws {
        var limits = WriteQueue.Limits()
        limits.jobs = 3
        let queue = WriteQueue(limits: limits)
        for _ in 0..<3 { _ = try await add(queue) }
        let error = await #expect(throws: SQLError.self) { try await add(queue) }
        #expect(error?.code == .overloaded)
        #expect(queue.depth == 3)
        answerAll(queue)
        await #expect(throws: Never.self) { try await add(queue) }
        answerAll(queue)
    }

    @Test("bytes are counted; a single job passes whatever it costs, and costs come back with a batch")
    func costLimit() async throws {
        var limits = WriteQueue.Limits()
        limits.cost = 100
        limits.batch = 1
        let queue = WriteQueue(limits: limits)
        _ = try await add(queue, cost: 500)
        await #expect(throws: SQLError.self) { try await add(queue, cost: 1) }
        queue.take()?.forEach { $0.refuse(SQLError(.unavailable, "")) }
        _ = try await add(queue, cost: 60)
        _ = try await add(queue, cost: 40)
        await #expect(throws: SQLError.self) { try await add(queue, cost: 1) }
        queue.take()?.forEach { $0.refuse(SQLError(.unavailable, "")) }
        _ = try await add(queue, cost: 60)
        await #expect(throws: SQLError.self) { try await add(queue, cost: 1) }
        answerAll(queue)
    }

    @Test("a batch is cut at its limit, in the order of arrival")
    func batches() async throws {
        var limits = WriteQueue.Limits()
        limits.batch = 4
        let queue = WriteQueue(limits: limits)
        for _ in 0..<10 { _ = try await add(queue) }
        var sizes: [Int] = []
        while let batch = queue.take(), !batch.isEmpty {
            sizes.append(batch.count)
            for job in batch { job.refuse(SQLError(.unavailable, "")) }
        }
        #expect(sizes == [4, 4, 2])
        #expect(queue.take()?.isEmpty == true)
    }

    @Test("a closed queue hands out what waits, takes no more, and then ends")
    func closing() async throws {
        let queue = WriteQueue()
        _ = try await add(queue)
        queue.close()
        let error = await #expect(throws: SQLError.self) { try await add(queue) }
        #expect(error?.code == .unavailable)
        let batch = try #require(queue.take())
        #expect(batch.count == 1)
        for job in batch { job.refuse(SQLError(.unavailable, "")) }
        #expect(queue.take() == nil)
    }
}
