// What comes and goes: told once, then silent until the cool-down ends, then summarised. As transcripts.

import Model
import Store
import Testing

@testable import Alerts

@Suite("Cool-down and flapping")
struct AlertCoolDownTests {
    /// Half a minute is enough to open and to close here, and the cool-down is ten minutes.
    private static let rule = AlertRule.test(1, .brokerUnreachable) {
        $0.window = 0
        $0.cooldown = 600
    }
    private static let broker = AlertFinding(
        .brokerUnreachable, subject: "rabbit:5672", rule: rule.id, detail: "connection refused")

    private func script() -> Script {
        var script = Script([Self.rule])
        script.machine = AlertMachine(closing: 10)
        return script
    }

    /// - Returns: what is told, with the second.
    private func told(_ script: inout Script, _ seconds: StrideTo<Int>, _ holds: (Int) -> Bool) -> [String] {
        var lines: [String] = []
        for second in seconds {
            let readings = [AlertReading([.brokerUnreachable], holds(second) ? [Self.broker] : [])]
            for change in script.changes(readings, at: Double(second)) where change.isTold {
                let alert = change.alert
                lines.append("\(second) \(change.event) \(alert.times) \(alert.isOpen ? "open" : "over")")
            }
        }
        return lines
    }

    @Test("what flaps for an hour is told once when it opens, once when it is over, and then once a cool-down")
    func flapping() {
        var script = script()
        // 20 s there, 40 s away: each minute it opens and closes.
        let lines = told(&script, stride(from: 0, to: 3_600, by: 5)) { $0 % 60 < 20 }
        #expect(
            lines == [
                "0 opened 1 open", "30 closed 1 over", "600 summarised 11 open", "630 closed 11 over",
                "1200 summarised 21 open", "1230 closed 21 over", "1800 summarised 31 open", "1830 closed 31 over",
                "2400 summarised 41 open", "2430 closed 41 over", "3000 summarised 51 open", "3030 closed 51 over",
            ])
        #expect(script.machine.open.count <= 1)
    }

    @Test("what came back and stays is told when the cool-down ends, and its end again")
    func staysAway() {
        var script = script()
        let lines = told(&script, stride(from: 0, to: 2_000, by: 5)) { $0 < 20 || (120..<1_500).contains($0) }
        #expect(
            lines == ["0 opened 1 open", "30 closed 1 over", "600 summarised 2 open", "1510 closed 2 over"])
    }

    @Test("what came back and went again is summarised as over")
    func summarisedAsOver() {
        var script = script()
        let lines = told(&script, stride(from: 0, to: 2_000, by: 5)) { $0 < 20 || (120..<160).contains($0) }
        #expect(lines == ["0 opened 1 open", "30 closed 1 over", "600 summarised 2 over"])
    }

    @Test("after a cool-down without a return it is a new alert, told at once")
    func newAlert() throws {
        var script = script()
        let lines = told(&script, stride(from: 0, to: 2_000, by: 5)) { $0 < 20 || (700..<720).contains($0) }
        #expect(lines == ["0 opened 1 open", "30 closed 1 over", "700 opened 1 open", "730 closed 1 over"])
    }

    @Test("an outage longer than the cool-down is told at its beginning and at its end, and its successor at once")
    func longOutage() {
        var script = script()
        let lines = told(&script, stride(from: 0, to: 8_000, by: 5)) { $0 < 5_000 || (5_060..<6_000).contains($0) }
        #expect(lines == ["0 opened 1 open", "5010 closed 1 over", "5060 opened 1 open", "6010 closed 1 over"])
    }

    @Test("each subject and each rule has a cool-down of its own")
    func apart() {
        let second = AlertRule.test(2, .brokerUnreachable) { $0.window = 0 }
        var script = Script([Self.rule, second])
        let others = [
            AlertFinding(.brokerUnreachable, subject: "hare:5672", rule: Self.rule.id, detail: ""),
            AlertFinding(.brokerUnreachable, subject: "rabbit:5672", rule: second.id, detail: ""),
        ]
        #expect(script.sees([Self.broker], at: 0).count == 1)
        #expect(script.sees([], at: 5) == [])
        #expect(script.sees([], at: 40) == ["closed broker_unreachable rabbit:5672"])
        #expect(
            script.sees([Self.broker] + others, at: 50) == [
                "opened broker_unreachable hare:5672", "returned broker_unreachable rabbit:5672 (quietly)",
                "opened broker_unreachable rabbit:5672",
            ])
    }

    @Test("an acknowledged alert that flaps is summarised to nobody; its row knows how often it came")
    func acknowledged() throws {
        var script = script()
        _ = told(&script, stride(from: 0, to: 20, by: 5)) { _ in true }
        var alert = try #require(script.machine.open.first)
        alert.acknowledgedAt = .at(20)
        alert.acknowledgedBy = AlertHand(id: "usr_1", label: "ada@example.com")
        #expect(script.heed([alert]) == [])
        let lines = told(&script, stride(from: 20, to: 1_300, by: 5)) { $0 % 60 < 20 }
        #expect(lines == ["30 closed 1 over"])
        let readings = [AlertReading([.brokerUnreachable], [Self.broker])]
        let changes = script.changes(readings, at: 1_300)
        #expect(changes.isEmpty || changes.allSatisfy { !$0.isTold })
        #expect(
            script.machine.open.first.map { $0.times > 15 && $0.acknowledgedBy?.label == "ada@example.com" } == true)
    }

    @Test("who says that it is over is not contradicted before the cool-down ends")
    func resolvedByHand() throws {
        var script = script()
        _ = told(&script, stride(from: 0, to: 500, by: 5)) { _ in true }
        var alert = try #require(script.machine.open.first)
        alert.closedAt = .at(500)
        alert.resolvedBy = AlertHand(id: "usr_1", label: "ada@example.com")
        #expect(script.heed([alert]) == ["closed broker_unreachable rabbit:5672"])
        #expect(script.machine.open.isEmpty)
        // It holds all the time: from the hand on the cool-down counts anew.
        let lines = told(&script, stride(from: 505, to: 1_200, by: 5)) { _ in true }
        #expect(lines == ["1105 opened 1 open"])
        #expect(script.machine.open.map(\.id) != [alert.id])
        #expect(script.heed([alert]) == [])
    }

    @Test("another process goes on in the middle of a cool-down, as if it had been there from the beginning")
    func takeOver() throws {
        var whole = script()
        let flapping: (Int) -> Bool = { $0 % 60 < 20 }
        let expected = told(&whole, stride(from: 0, to: 2_000, by: 5), flapping)
        for cut in [10, 35, 50, 65, 95, 300, 595, 600, 605, 635, 640, 1_500] {
            var (first, second) = (script(), script())
            var rows: [AlertID: Alert] = [:]
            var lines: [String] = []
            for second in stride(from: 0, to: cut, by: 5) {
                let readings = [AlertReading([.brokerUnreachable], flapping(second) ? [Self.broker] : [])]
                for change in first.changes(readings, at: Double(second)) {
                    let alert = change.alert
                    rows[alert.id] = rows[alert.id]?.merged(with: alert) ?? alert
                    if change.isTold {
                        lines.append("\(second) \(change.event) \(alert.times) \(alert.isOpen ? "open" : "over")")
                        // The channels take it at once.
                        var taken = alert
                        if alert.isOpen { taken.openNotifiedAt = .at(1) } else { taken.closeNotifiedAt = .at(1) }
                        rows[alert.id] = rows[alert.id]?.merged(with: taken)
                    }
                }
            }
            #expect(second.adopt(Array(rows.values), at: Double(cut)) == [])
            lines += told(&second, stride(from: cut, to: 2_000, by: 5), flapping)
            #expect(Set(lines).subtracting(Self.shifted(lines, expected)).isEmpty, "cut at \(cut): \(lines)")
            #expect(lines.count == expected.count, "cut at \(cut): \(lines)")
        }
    }

    /// What was about to open or to close at the moment of the take-over begins anew, so it may come a little later.
    private static func shifted(_ lines: [String], _ expected: [String]) -> Set<String> {
        func parts(_ line: String) -> (Int, String) {
            let parts = line.split(separator: " ", maxSplits: 1)
            return (Int(parts[0]) ?? 0, String(parts[1]))
        }
        return Set(
            lines.filter { line in
                let (second, words) = parts(line)
                return expected.contains { parts($0).1 == words && (0...60).contains(second - parts($0).0) }
            })
    }

    @Test("a clock that is set back makes no cool-down longer than it is")
    func clockSetBack() {
        var script = script()
        _ = told(&script, stride(from: 100_000, to: 100_040, by: 5)) { $0 < 100_020 }
        // Back by a day: a return, then the summary after one cool-down at most.
        let lines = told(&script, stride(from: 0, to: 1_300, by: 5)) { (100..<120).contains($0) }
        #expect(lines == ["600 summarised 2 over"])
    }

    @Test("a rule that was switched off ends its alert without a word, and what was about to come never comes")
    func withdrawn() {
        var script = script()
        #expect(script.sees([Self.broker], at: 0) == ["opened broker_unreachable rabbit:5672"])
        script.rules = AlertRuleBook([AlertRule.test(1, .brokerUnreachable, isEnabled: false)])
        #expect(script.sees([], at: 5) == ["withdrawn broker_unreachable rabbit:5672 (quietly)"])
        #expect(script.machine.open.isEmpty)
        #expect(script.sees([.broker], at: 60) == [])
        #expect(script.sees([.broker], at: 600) == [])
    }

    @Test("a broken audit log stays an alert until a person resolves it")
    func sticky() throws {
        var script = Script()
        let broken = AlertFinding(.auditChainBroken, subject: "audit log", detail: "")
        func reading(_ findings: [AlertFinding]) -> [AlertReading] { [AlertReading([.auditChainBroken], findings)] }
        #expect(script.observe(reading([broken]), at: 0) == ["opened audit_chain_broken audit log"])
        #expect(script.observe(reading([]), at: 100) == [])
        #expect(script.observe(reading([]), at: 100_000) == [])
        var alert = try #require(script.machine.open.first)
        alert.closedAt = .at(100_001)
        alert.resolvedBy = AlertHand(id: "usr_1", label: "ada@example.com")
        #expect(script.heed([alert]) == ["closed audit_chain_broken audit log"])
        #expect(script.observe(reading([]), at: 100_010) == [])
        #expect(script.machine.open.isEmpty)
    }

    @Test("cool-downs in which nothing happened make room for what is wrong now")
    func room() {
        var script = Script()
        func many(_ range: Range<Int>) -> [AlertFinding] {
            range.map { AlertFinding(.runaway, subject: "caller \($0)", vault: nil, detail: "") }
        }
        func observe(_ findings: [AlertFinding], _ second: Double) -> Int {
            script.observe([AlertReading([.runaway], findings)], at: second).count
        }
        #expect(observe(many(0..<1_000), 0) == 1_000)
        #expect(observe([], 10) == 0)
        #expect(observe([], 40) == 1_000)
        // All rest now, and the newcomers are more important.
        #expect(observe(many(2_000..<2_600), 50) == 600)
        #expect(script.machine.open.count == 600)
    }
}
