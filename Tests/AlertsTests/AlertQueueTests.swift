// Notices on their way to a channel: the order, the pauses, the end. As transcripts, the time as a parameter.

import Model
import Store
import Testing

@testable import Alerts

@Suite("The queue of a channel")
struct AlertQueueTests {
    private func notice(_ id: UInt64, _ state: AlertNotice.State = .opened) -> AlertNotice {
        AlertNotice(
            Alert(
                id: AlertID(high: 0, low: id), vault: nil, condition: .brokerBlocked, subject: "s", detail: "d",
                beganAt: .at(0), openedAt: .at(30)),
            state, instance: "i")
    }

    @Test("pauses double from 2 s to 60 s, and after 10 minutes a notice is given up")
    func backOff() {
        var queue = AlertQueue()
        let notice = notice(1)
        #expect(queue.add(notice, at: .at(0)) == nil)
        var now = 0.0
        var pauses: [Double] = []
        while true {
            #expect(queue.next(at: .at(now)) == [notice])
            guard case .again(let due) = queue.failed(notice, at: .at(now)) else { break }
            let pause = Double(due.milliseconds - Timestamp.at(now).milliseconds) / 1000
            #expect(queue.next(at: .at(now + pause - 0.001)) == nil)
            pauses.append(pause)
            now += pause
        }
        #expect(pauses.prefix(7) == [2, 4, 8, 16, 32, 60, 60])
        #expect(now <= 600 && now > 530)
        #expect(queue.count == 0)
    }

    @Test("that an alert closed is told after that it opened, and others do not wait for it")
    func order() {
        var queue = AlertQueue()
        for notice in [notice(1), notice(1, .closed), notice(2)] { _ = queue.add(notice, at: .at(0)) }
        #expect(queue.next(at: .at(0)) == [notice(1)])
        _ = queue.failed(notice(1), at: .at(0))
        #expect(queue.next(at: .at(0)) == [notice(2)])
        queue.succeeded([notice(2)], at: .at(0))
        #expect(queue.next(at: .at(1)) == nil)
        #expect(queue.next(at: .at(2)) == [notice(1)])
        queue.succeeded([notice(1)], at: .at(0))
        #expect(queue.next(at: .at(2)) == [notice(1, .closed)])
    }

    @Test("a notice waits once, however often it is handed in")
    func once() {
        var queue = AlertQueue()
        _ = queue.add(notice(1), at: .at(0))
        _ = queue.add(notice(1), at: .at(1))
        #expect(queue.count == 1)
    }

    @Test("a thousand notices wait at most; the oldest goes first")
    func bounded() {
        var queue = AlertQueue()
        for id in 0..<1_000 { #expect(queue.add(notice(UInt64(id)), at: .at(0)) == nil) }
        #expect(queue.add(notice(5_000), at: .at(1)) == notice(0))
        #expect(queue.count == 1_000)
    }

    @Test("what was cleared meanwhile is no longer tried, whatever became of it")
    func cleared() {
        var queue = AlertQueue()
        _ = queue.add(notice(1), at: .at(0))
        queue.clear()
        queue.succeeded([notice(1)], at: .at(0))
        #expect(queue.failed(notice(1), at: .at(1)) == .gaveUp)
        #expect(queue.next(at: .at(100)) == nil)
    }

    @Test("a clock that is set back does not hold a notice up")
    func clockSetBack() {
        var queue = AlertQueue()
        _ = queue.add(notice(1), at: .at(10_000))
        #expect(queue.next(at: .at(0)) == [notice(1)])
    }

    @Test("from five on that wait, one digest tells them all, a hundred at most")
    func digest() {
        var queue = AlertQueue()
        for id in 0..<4 { _ = queue.add(notice(UInt64(id)), at: .at(0)) }
        #expect(queue.next(at: .at(0)) == [notice(0)])
        _ = queue.add(notice(4), at: .at(0))
        #expect(queue.next(at: .at(0))?.count == 5)
        for id in 5..<250 { _ = queue.add(notice(UInt64(id)), at: .at(0)) }
        var sizes: [Int] = []
        while let batch = queue.next(at: .at(0)) {
            sizes.append(batch.count)
            queue.succeeded(batch, at: .at(0))
        }
        #expect(sizes == [100, 100, 50] && queue.count == 0)
    }

    @Test("whatever comes, six messages go at once and then one a minute, and nothing is lost")
    func pace() {
        var queue = AlertQueue()
        var (sent, told): ([Int], Set<String>) = ([], [])
        for second in 0..<1_800 {
            _ = queue.add(notice(UInt64(second)), at: .at(Double(second)))
            while let batch = queue.next(at: .at(Double(second))) {
                sent.append(second)
                told.formUnion(batch.map(\.key))
                queue.succeeded(batch, at: .at(Double(second)))
            }
        }
        #expect(sent.count <= 6 + 30)
        for start in sent { #expect(sent.count { (start..<start + 60).contains($0) } <= 7) }
        #expect(told.count >= 1_700)
    }

    @Test(
        "in a digest that an alert is over stands beside that it opened; what waits after a failure is not told before it"
    )
    func digestOrder() {
        var queue = AlertQueue()
        for id in 0..<4 {
            _ = queue.add(notice(UInt64(id)), at: .at(0))
            _ = queue.add(notice(UInt64(id), .closed), at: .at(0))
        }
        #expect(queue.next(at: .at(0))?.count == 8)
        _ = queue.failed(notice(0), at: .at(0))
        let next = queue.next(at: .at(0))
        #expect(next?.count == 6 && next?.contains { $0.alert.id == notice(0).alert.id } == false)
    }

    @Test("a refusal by the channel is no message: what is tried again costs nothing of the pace")
    func refusalsAreFree() {
        var queue = AlertQueue()
        for id in 0..<3 { _ = queue.add(notice(UInt64(id)), at: .at(0)) }
        for _ in 0..<20 {
            guard let batch = queue.next(at: .at(0)) else { break }
            for notice in batch { _ = queue.failed(notice, at: .at(0)) }
        }
        #expect(queue.next(at: .at(2))?.count == 1)
        #expect(queue.count == 3)
    }
}
