// Confirms in any order, alone or many at once, repeated or unknown: each message is settled once.

import Testing

@testable import AMQP

@Suite("Publish window")
struct PublishWindowTests {
    private let now = ContinuousClock.now

    private func window(_ count: Int) -> PublishWindow<Int> {
        var window = PublishWindow<Int>()
        for number in 1...count {
            #expect(window.nextTag == UInt64(number))
            window.append(number, bytes: 10, at: now + .seconds(number))
        }
        return window
    }

    @Test("single confirms out of order settle each its own; the oldest is known throughout")
    func outOfOrder() {
        var window = window(4)
        var settled: [Int] = []
        for tag in [2, 4, 1] as [UInt64] { window.settle(tag, multiple: false) { settled.append($0.token) } }
        #expect(settled == [2, 4, 1])
        #expect(window.count == 1)
        #expect(window.bytes == 10)
        #expect(window.oldest == now + .seconds(3))
        window.settle(3, multiple: false) { settled.append($0.token) }
        #expect(window.isEmpty && window.oldest == nil && window.bytes == 0)
        #expect(window.nextTag == 5)
    }

    @Test("a confirm for many settles all up to it that are left; 0 is all")
    func multiple() {
        var window = window(6)
        var settled: [Int] = []
        window.settle(2, multiple: false) { settled.append($0.token) }
        window.settle(4, multiple: true) { settled.append($0.token) }
        #expect(settled == [2, 1, 3, 4])
        window.settle(0, multiple: true) { settled.append($0.token) }
        #expect(settled == [2, 1, 3, 4, 5, 6])
        #expect(window.isEmpty)
    }

    @Test("repeated and unknown numbers change nothing")
    func unknown() {
        var window = window(3)
        var settled: [Int] = []
        window.settle(1, multiple: false) { settled.append($0.token) }
        for tag in [0, 1, 4, 99, .max] as [UInt64] {
            window.settle(tag, multiple: false) { settled.append($0.token) }
            window.noteReturn(tag, code: 312, text: "NO_ROUTE")
        }
        window.settle(1, multiple: true) { settled.append($0.token) }
        #expect(settled == [1])
        #expect(window.count == 2)
        // More than was ever written: all that was.
        window.settle(.max, multiple: true) { settled.append($0.token) }
        #expect(settled == [1, 2, 3])
    }

    @Test("a return stays with its message until the confirm")
    func returns() {
        var window = window(3)
        window.noteReturn(2, code: 312, text: "NO_ROUTE")
        var returned: [Int: Int] = [:]
        window.settle(3, multiple: true) { entry in returned[entry.token] = entry.returned?.code }
        #expect(returned == [2: 312])
    }

    @Test("giving up hands out what is left, oldest first, and begins to count anew")
    func givingUp() {
        var window = window(4)
        window.settle(2, multiple: false) { _ in }
        #expect(window.removeAll().map(\.token) == [1, 3, 4])
        #expect(window.isEmpty)
        #expect(window.nextTag == 1)
    }

    @Test("long use in random order keeps count of everything")
    func random() {
        var window = PublishWindow<UInt64>()
        var open: Set<UInt64> = []
        var settled = 0
        for _ in 0..<60_000 {
            if open.count < 200, Bool.random() {
                let tag = window.nextTag
                window.append(tag, bytes: 1, at: now)
                open.insert(tag)
            } else if let tag = open.randomElement() {
                let multiple = Int.random(in: 0..<20) == 0
                window.settle(tag, multiple: multiple) { entry in
                    #expect(open.remove(entry.token) != nil)
                    settled += 1
                }
                #expect(!open.contains { multiple ? $0 <= tag : $0 == tag })
            }
            #expect(window.count == open.count)
        }
        #expect(settled + open.count == Int(window.nextTag) - 1)
    }
}

@Suite("Settlements")
struct SettlementTests {
    @Test("equal answers in a row are one frame")
    func runs() {
        let plan = Settlement.plan([5, 6, 7, 8, 9, 10], [.ack, .ack, .reject, .requeue, .requeue, .ack])
        #expect(
            plan == [
                Settlement(tag: 6, multiple: true, disposition: .ack),
                Settlement(tag: 7, multiple: false, disposition: .reject),
                Settlement(tag: 9, multiple: true, disposition: .requeue),
                Settlement(tag: 10, multiple: false, disposition: .ack),
            ])
        #expect(Settlement.plan([], []).isEmpty)
    }
}
