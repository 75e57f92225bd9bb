// Listeners hear what is announced after they came, in order; one that is far behind is told so.

import SQL
import Testing

@Suite("Announcement board")
struct AnnouncementBoardTests {
    private func all(_ stream: AsyncStream<String>) async -> [String] {
        var topics: [String] = []
        for await topic in stream { topics.append(topic) }
        return topics
    }

    @Test("everyone hears it from the moment of listening on")
    func everyone() async {
        let board = AnnouncementBoard()
        board.publish("before")
        let first = board.listen()
        board.publish("a")
        let second = board.listen()
        board.publish("b")
        board.close()
        board.publish("after")
        #expect(await all(first) == ["a", "b"])
        #expect(await all(second) == ["b"])
        #expect(await all(board.listen()) == [])
    }

    @Test("who is far behind hears that anything may have happened, and holds no endless list")
    func farBehind() async {
        let board = AnnouncementBoard()
        let stream = board.listen()
        for number in 0..<10_000 { board.publish("\(number)") }
        board.close()
        let topics = await all(stream)
        #expect(topics.last == "*")
        #expect(topics.count < 100)
    }

    @Test("who no longer listens is forgotten")
    func leaving() async {
        let board = AnnouncementBoard()
        let task = Task { await all(board.listen()) }
        task.cancel()
        _ = await task.value
        board.publish("a")
        let stream = board.listen()
        board.publish("b")
        board.close()
        #expect(await all(stream) == ["b"])
    }
}
