// The machine as transcripts: at each second a reading goes in, and the changes that come out are compared.

import Model
import Store
import Testing

@testable import Alerts

@Suite("The alert machine")
struct AlertMachineTests {
    @Test("a condition that holds for 30 s opens one alert, and 30 s without it close it")
    func opensAndCloses() throws {
        var script = Script()
        #expect(script.sees([.broker], at: 0) == [])
        #expect(script.sees([.broker], at: 29.9) == [])
        #expect(script.sees([.broker], at: 30) == ["opened broker_unreachable rabbit:5672"])
        let alert = try #require(script.machine.open.first)
        #expect(alert.beganAt == .at(0) && alert.openedAt == .at(30) && alert.detail == "connection refused")
        #expect(script.sees([.broker], at: 3_000) == [])
        #expect(script.sees([], at: 3_005) == [])
        #expect(script.sees([], at: 3_034.9) == [])
        #expect(script.machine.open == [alert])
        #expect(script.sees([], at: 3_035) == ["closed broker_unreachable rabbit:5672"])
        #expect(script.machine.open == [])
        #expect(script.sees([], at: 3_100) == [])
    }

    @Test("what goes away in time never was an alert, and begins anew when it comes back")
    func flicker() {
        var script = Script()
        for second in stride(from: 0.0, to: 300, by: 20) {
            #expect(script.sees([.broker], at: second) == [])
            #expect(script.sees([.broker], at: second + 10) == [])
            #expect(script.sees([], at: second + 15) == [])
        }
        #expect(script.sees([.broker], at: 300) == [])
        #expect(script.sees([.broker], at: 329) == [])
        #expect(script.sees([.broker], at: 330) == ["opened broker_unreachable rabbit:5672"])
    }

    @Test("an alert that comes back while it clears stays the same alert, without a word")
    func relapse() {
        var script = Script()
        _ = script.sees([.broker], at: 0)
        _ = script.sees([.broker], at: 30)
        let open = script.machine.open
        for second in stride(from: 40.0, to: 400, by: 40) {
            #expect(script.sees([], at: second) == [])
            #expect(script.sees([], at: second + 29) == [])
            #expect(script.sees([.broker], at: second + 30) == [])
        }
        #expect(script.machine.open == open)
    }

    @Test("the database's alert opens after 15 s")
    func database() {
        var script = Script()
        let reading = AlertReading([.databaseUnreachable], [.database])
        #expect(script.observe([reading], at: 0) == [])
        #expect(script.observe([reading], at: 14.9) == [])
        #expect(script.observe([reading], at: 15) == ["opened database_unreachable SQLite"])
    }

    @Test("where it cannot be told nothing opens and nothing closes, and what was about to begins anew")
    func unknown() {
        var script = Script()
        _ = script.sees([.broker], at: 0)
        #expect(script.sees(nil, at: 20) == [])
        #expect(script.sees([.broker], at: 40) == [])
        #expect(script.sees([.broker], at: 69) == [])
        #expect(script.sees([.broker], at: 70) == ["opened broker_unreachable rabbit:5672"])
        #expect(script.sees(nil, at: 500) == [])
        #expect(script.sees([], at: 505) == [])
        #expect(script.sees(nil, at: 530) == [])
        #expect(script.sees([], at: 536) == [])
        #expect(script.sees([], at: 565) == [])
        #expect(script.sees([], at: 566) == ["closed broker_unreachable rabbit:5672"])
    }

    @Test("each condition and each subject has an alert of its own")
    func subjects() {
        var script = Script()
        let other = AlertFinding(.brokerUnreachable, subject: "hare:5672", detail: "no route")
        _ = script.sees([.broker, .blocked, other, other], at: 0)
        #expect(
            script.sees([.broker, .blocked, other], at: 30) == [
                "opened broker_blocked rabbit:5672", "opened broker_unreachable hare:5672",
                "opened broker_unreachable rabbit:5672",
            ])
        _ = script.sees([.blocked, other], at: 40)
        #expect(script.sees([.blocked, other], at: 70) == ["closed broker_unreachable rabbit:5672"])
        #expect(script.machine.open.count == 2)
    }

    @Test(
        "two probes of one condition: what one of them sees, the other does not take away; what one cannot tell stays")
    func sharedCondition() {
        var script = Script()
        let vault = AlertFinding(.failureBacklog, subject: "failures of a vault", detail: "200")
        let queue = AlertFinding(.failureBacklog, subject: "queue failure", detail: "300")
        func readings(_ first: [AlertFinding]?, _ second: [AlertFinding]?) -> [AlertReading] {
            [AlertReading([.failureBacklog], first), AlertReading([.failureBacklog], second)]
        }
        _ = script.observe(readings([vault], [queue]), at: 0)
        #expect(script.observe(readings([vault], [queue]), at: 30).count == 2)
        #expect(script.observe(readings([], nil), at: 60) == [])
        #expect(script.observe(readings([], nil), at: 600) == [])
        #expect(script.observe(readings([], [queue]), at: 605) == [])
        #expect(script.observe(readings([], [queue]), at: 635) == ["closed failure_backlog failures of a vault"])
    }

    @Test("an alert that was open before a restart is taken up, not opened again, and closes when it is over")
    func adopts() {
        var script = Script()
        let alert = script.alert(1, .broker)
        #expect(script.adopt([alert], at: 0) == [])
        #expect(script.sees([.broker], at: 5) == [])
        #expect(script.sees([.broker], at: 100) == [])
        #expect(script.machine.open == [alert])
        _ = script.sees([], at: 105)
        #expect(script.sees([], at: 135) == ["closed broker_unreachable rabbit:5672"])
    }

    @Test("an alert that no probe looks for any more closes")
    func orphan() {
        var script = Script()
        _ = script.adopt([script.alert(1, .broker)], at: 0)
        #expect(script.observe([AlertReading([.databaseUnreachable], [])], at: 5) == [])
        #expect(
            script.observe([AlertReading([.databaseUnreachable], nil)], at: 35) == [
                "closed broker_unreachable rabbit:5672"
            ])
    }

    @Test("taken up late, while its like is open here already, the older one closes and the newer one stays")
    func twins() {
        var script = Script()
        _ = script.sees([.broker], at: 0)
        _ = script.sees([.broker], at: 30)
        let own = script.machine.open
        #expect(script.adopt(own, at: 35) == [])
        #expect(script.adopt([script.alert(1, .broker)], at: 35) == ["closed broker_unreachable rabbit:5672"])
        #expect(script.machine.open == own)
    }

    @Test("what is about to open, and stood open before, is the one that stood open")
    func adoptsWhileHolding() {
        var script = Script()
        _ = script.sees([.broker], at: 0)
        #expect(script.adopt([script.alert(1, .broker)], at: 10) == [])
        #expect(script.sees([.broker], at: 31) == [])
        #expect(script.machine.open.map(\.id) == [AlertID(high: 0, low: 1)])
    }

    @Test("a clock that is set back delays an alert by its delay at most")
    func clockSetBack() {
        var script = Script()
        _ = script.sees([.broker], at: 10_000)
        #expect(script.sees([.broker], at: 0) == [])
        #expect(script.sees([.broker], at: 30) == ["opened broker_unreachable rabbit:5672"])
        _ = script.sees([], at: 9_000)
        #expect(script.sees([], at: 100) == [])
        #expect(script.sees([], at: 130) == ["closed broker_unreachable rabbit:5672"])
    }

    @Test("no more than a thousand subjects are followed, and room that is given back is used")
    func bounded() {
        var script = Script()
        let many = (0..<5_000).map { AlertFinding(.failureBacklog, subject: "vault \($0)", detail: "") }
        _ = script.observe([AlertReading([.failureBacklog], many)], at: 0)
        #expect(script.observe([AlertReading([.failureBacklog], many)], at: 30).count == 1_000)
        _ = script.observe([AlertReading([.failureBacklog], [])], at: 40)
        #expect(script.observe([AlertReading([.failureBacklog], [])], at: 70).count == 1_000)
        _ = script.observe([AlertReading([.failureBacklog], [many[4_999]])], at: 80)
        #expect(
            script.observe([AlertReading([.failureBacklog], [many[4_999]])], at: 110) == [
                "opened failure_backlog vault 4999"
            ])
    }
}
