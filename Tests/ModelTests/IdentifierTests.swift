// Ids: their form, that no two are alike, and that they sort by time whatever the clock does.

import Model
import Synchronization
import Testing

@Suite("Identifiers")
struct IdentifierTests {
    /// A clock that a test sets to any time, backwards as well.
    private final class JumpingClock: WallClock {
        private let time: Mutex<Int64>
        init(_ milliseconds: Int64) { time = Mutex(milliseconds) }
        func now() -> Timestamp { Timestamp(milliseconds: time.withLock { $0 }) }
        func set(_ milliseconds: Int64) { time.withLock { $0 = milliseconds } }
    }

    private func makeMany(_ generator: IdentifierGenerator, _ count: Int) -> [Model.MessageID] {
        (0..<count).map { _ in generator.next() }
    }

    @Test("an id is its prefix and sixteen characters of Crockford's base32")
    func form() {
        let generator = IdentifierGenerator(process: 0, clock: ManualClock())
        let ids = [
            (VaultID.self.init(stored: (generator.next() as VaultID).text).text, "vlt_"),
            ((generator.next() as KeyID).text, "key_"), ((generator.next() as SMTPUserID).text, "smtp_"),
            ((generator.next() as Model.MessageID).text, "msg_"), ((generator.next() as EventID).text, "evt_"),
            ((generator.next() as CorrelationID).text, "cor_"), ((generator.next() as PayloadID).text, "pay_"),
            ((generator.next() as PoolID).text, "pool_"),
        ]
        let alphabet = Set("0123456789abcdefghjkmnpqrstvwxyz")
        for (text, prefix) in ids {
            #expect(text.hasPrefix(prefix))
            #expect(text.count == prefix.count + 16)
            #expect(text.dropFirst(prefix.count).allSatisfy(alphabet.contains))
        }
    }

    @Test("all 80 bits are in the text, the highest first")
    func bits() {
        #expect(Model.MessageID(high: 0, low: 0).text == "msg_0000000000000000")
        #expect(Model.MessageID(high: .max, low: .max).text == "msg_zzzzzzzzzzzzzzzz")
        #expect(Model.MessageID(high: 0, low: 1).text == "msg_0000000000000001")
        #expect(Model.MessageID(high: 0, low: 32).text == "msg_0000000000000010")
        #expect(Model.MessageID(high: 1, low: 0).text == "msg_000g000000000000")
        #expect(Model.MessageID(high: 0x8000, low: 0).text == "msg_g000000000000000")
    }

    @Test("an id from outside is read back")
    func readsBack() {
        let generator = IdentifierGenerator(process: 3, clock: ManualClock())
        for id in makeMany(generator, 50) { #expect(Model.MessageID(id.text) == id) }
    }

    @Test(
        "a text of another form is no id",
        arguments: [
            "", "msg_", "msg_000000000000000", "msg_00000000000000000", "evt_0000000000000000", "MSG_0000000000000000",
            "msg_000000000000000i", "msg_000000000000000l", "msg_000000000000000o", "msg_000000000000000u",
            "msg_000000000000000Z", "msg_000000000000000 ", " msg_0000000000000000", "msg-0000000000000000",
            "msg_00000000000000é", "msg_000000000000000'", "msg_000000000000000\u{0}", "0000000000000000msg_",
        ])
    func refused(_ text: String) {
        #expect(Model.MessageID(text) == nil)
    }

    @Test("ids of later milliseconds sort behind earlier ones, as text and as ids")
    func sorting() {
        let clock = ManualClock()
        let generator = IdentifierGenerator(process: 5, clock: clock)
        var ids: [Model.MessageID] = []
        for _ in 0..<200 {
            ids += makeMany(generator, 5)
            clock.advance(seconds: 0.001)
        }
        #expect(ids == ids.sorted())
        #expect(ids.map(\.text) == ids.map(\.text).sorted())
    }

    @Test("two processes and eight threads make no id twice", .timeLimit(.minutes(1)))
    func uniqueness() async {
        let clock = SystemClock()
        let generators = [IdentifierGenerator(process: 1, clock: clock), IdentifierGenerator(process: 2, clock: clock)]
        let all = await withTaskGroup(of: [Model.MessageID].self) { group in
            for index in 0..<8 {
                group.addTask { (0..<5_000).map { _ in generators[index % 2].next() } }
            }
            return await group.reduce(into: [[Model.MessageID]]()) { $0.append($1) }
        }
        for run in all { #expect(run == run.sorted()) }
        #expect(Set(all.joined()).count == 40_000)
    }

    @Test("two processes at one millisecond with one counter still differ")
    func processNumber() {
        let clock = ManualClock()
        let first = Set(makeMany(IdentifierGenerator(process: 0, clock: clock), 100))
        let second = Set(makeMany(IdentifierGenerator(process: 1023, clock: clock), 100))
        #expect(first.isDisjoint(with: second))
    }

    @Test("a clock that goes back makes neither an old nor an equal id")
    func clockGoingBack() {
        let clock = JumpingClock(1_800_000_000_000)
        let generator = IdentifierGenerator(process: 9, clock: clock)
        var ids = makeMany(generator, 100)
        clock.set(1_700_000_000_000)
        ids += makeMany(generator, 100)
        clock.set(1_800_000_000_001)
        ids += makeMany(generator, 100)
        #expect(ids == ids.sorted())
        #expect(Set(ids).count == 300)
    }

    @Test("when the counter runs over, ids go on rising and none comes twice")
    func counterWrap() {
        let generator = IdentifierGenerator(process: 9, clock: JumpingClock(1_800_000_000_000))
        var last: Model.MessageID = generator.next()
        var falls = 0
        // 22 bits of counter: one more than all of them has to pass the end once, wherever it began.
        for _ in 0..<(1 << 22) + 2 {
            let next: Model.MessageID = generator.next()
            if next.text.utf8.lexicographicallyPrecedes(last.text.utf8) || next.text == last.text { falls += 1 }
            last = next
        }
        #expect(falls == 0)
    }
}
