"""One retailer: the one path from what it knows to what it says, for a million customers or for one.

``decide`` goes: contact rules, consent gate, policy, predicted verdict, reservation. The simulator calls it
with all customers, the live engine with the one who is there; it cannot tell which.
"""

from __future__ import annotations

import copy as copies
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from regulars.draws import log
from regulars.errors import ConsentError, RegularsError, ShapeError
from regulars.ledger import Counts, Ledger
from regulars.retail import catalog as catalogs
from regulars.retail import consent as consents
from regulars.retail import contact_rules, infer, policies
from regulars.retail import decision as decisions_of
from regulars.retail import record as records
from regulars.retail import relevance as relevances
from regulars.retail.catalog import Among, Catalog, Standing, Today, closed
from regulars.retail.consent import Consent, View, contacts_of, note_use, open_view
from regulars.retail.contact_rules import ContactRules
from regulars.retail.decision import Decisions, Draws, number_of
from regulars.retail.learn import Outcomes, Pending, rewards, settle
from regulars.retail.policies import Policy
from regulars.retail.predicted_verdict import PredictedVerdict, measured, probabilities
from regulars.retail.record import CELLS, U16, Record
from regulars.retail.relevance import RelevanceWeights
from regulars.terms import I32, NEVER, U8, Channel, Lines, Messages, Purpose, Scope

USUAL_INTERVAL_DAYS = 30.0  # of a category that nobody bought twice yet; weighs 20 intervals
USUAL_POPULARITY = 0.03  # lines a basket of a category that nobody bought yet; weighs 200 baskets
AFFINITY_EVERY_DAYS = 7
#: Without rules of the house the policy's own pace holds, and nobody is woken at night.
HOUSE_RULES = ContactRules(per_day=None, per_week=None, per_month=None, per_channel=None)


class Retailer:
    """A policy at work on a record.

    Parameters
    ----------
    policy : from ``policies.make`` or ``policies.load``
    catalog : what may be offered
    record, consent : of the same N customers
    rules : the house's contact rules; with the policy's own pace the stricter wins. None leaves the pace
        alone
    ledger : of the same N customers
    key : (2,) uint32 from ``draws.stream``; names the luck
    honours_consent : False opens everything and marks it covert; for simulation only
    index : the number of this retailer in a market's ``Lines``; -1 takes every line as its own
    broker : buys what customers bought elsewhere; only with ``honours_consent=False``
    need : weights of relevance

    Attributes
    ----------
    totals, verdict, guesses, pending : what it learned; see :meth:`snapshot`
    cutoff : the highest priority that the day's budget, or what was left of it, let through in the last decision;
        ``NO_CUTOFF`` without a budget
    ruled_out : (7,) how many of the last decisions each rule dropped, by the codes of ``contact_rules``
    rationed : rows for whom the budget was too small in the last decision
    """

    def __init__(
        self,
        policy: Policy,
        catalog: Catalog,
        record: Record,
        consent: Consent,
        rules: ContactRules | None = None,
        ledger: Ledger | None = None,
        key: NDArray[np.uint32] | None = None,
        honours_consent: bool = True,
        *,
        index: int = -1,
        broker: bool | None = None,
        need: RelevanceWeights | None = None,
    ) -> None:
        n = len(record.customer)
        if len(consent.bits) != n:
            raise ShapeError(f"a record of {n} customers but consent of {len(consent.bits)}")
        if record.bought.shape[1] != catalog.categories:
            raise ShapeError(
                f"a record of {record.bought.shape[1]} categories, a catalog of {catalog.categories}"
            )
        if broker and honours_consent:
            raise RegularsError("a broker's data needs honours_consent=False: nobody allowed it")
        if policy.covert and honours_consent:
            raise RegularsError(
                f"{policy.name} uses what nobody allowed. Give honours_consent=False, in simulation"
            )
        self.policy = policy
        self.catalog = catalog
        self.record = record
        self.consent = consent
        self.house_rules = rules or HOUSE_RULES
        self.rules = contact_rules.stricter(self.house_rules, policies.asked(policy, "pace"))
        self.ledger: Ledger = Counts(n) if ledger is None else ledger
        self.key = np.zeros(2, np.uint32) if key is None else key
        self.honours_consent = honours_consent
        self.index = index
        self.broker = (not honours_consent) if broker is None else broker
        self.scopes = tuple(sorted({Scope.CONTACT, *policy.scopes}))
        self.totals = records.new_totals(catalog.categories)
        self.verdict = PredictedVerdict()
        self.guesses = infer.new(catalog.categories)
        self.pending = Pending()
        self.cutoff = contact_rules.NO_CUTOFF
        self.ruled_out = np.zeros(7, np.int64)
        self.rationed = np.zeros(0, np.int32)
        self._need = (need or RelevanceWeights()).column()
        self._interval = np.full(catalog.categories, USUAL_INTERVAL_DAYS, np.float32)
        self._popular = np.full(catalog.categories, USUAL_POPULARITY, np.float32)
        self._crowd = relevances.crowd(self.totals)
        self._affinity = np.zeros((CELLS, catalog.categories), np.float32)
        self._tilt = np.zeros((records.INFERENCES, catalog.categories), np.float32)
        self._guessed_day = np.full(2, -1, np.int64)  # when the guesses were trained, and when last applied
        self._today: Today | None = None
        self._stock: NDArray[np.bool_] | None = (
            None  # with which ``_today`` was worked out; compared by identity
        )
        # Likewise of (day, stock): which offers are sold out then.
        self._gone: tuple[int, NDArray[np.bool_] | None, NDArray[np.bool_]] = (
            NEVER,
            None,
            np.zeros(0, np.bool_),
        )
        self._spent = np.array([NEVER, 0])  # the last day with a budget, and what of it is spent
        self._everybody = np.arange(n, dtype=np.int32)

    def __len__(self) -> int:
        return len(self.record.customer)

    def seat(self, record: Record, consent: Consent, ledger: Ledger) -> None:
        """Serve these customers from now on; what was learned from everybody stays.

        The live engine seats whoever is there, one customer or a thousand, as they come out of the store.
        """
        if record.bought.shape[1] != self.catalog.categories or len(consent.bits) != len(record.customer):
            raise ShapeError(
                f"a record of {len(record.customer)} customers and {record.bought.shape[1]} categories, "
                f"consent of {len(consent.bits)}, a catalog of {self.catalog.categories}"
            )
        self.record, self.consent, self.ledger = record, consent, ledger
        self.pending = Pending()
        self._everybody = np.arange(len(record.customer), dtype=np.int32)

    def restock(self, catalog: Catalog) -> None:
        """Offer from this catalog from now on; what was learned of its categories stays."""
        if catalog.categories != self.catalog.categories:
            raise ShapeError(
                f"a catalog of {catalog.categories} categories for one of {self.catalog.categories}"
            )
        self.catalog, self._today = catalog, None
        self._gone = NEVER, None, self._gone[2]

    @property
    def spent(self) -> int:
        """Messages of the budget of the last day on which there was one."""
        return int(self._spent[1])

    def resume(self, day: int, spent: int) -> None:
        """So many messages of a day's budget have left already, elsewhere."""
        self._spent[:] = day, spent

    # ---- deciding ---------------------------------------------------------------------------------

    def today(self, day: int, in_stock: NDArray[np.bool_] | None = None, among: Among | None = None) -> Today:
        """What stands on this day, of these candidates if any are named, with what has been learned so far."""
        if self._today is None or self._today.day != day or self._stock is not in_stock:
            self._today, self._stock = self._stands(day, in_stock), in_stock
        if among is None:
            return self._today
        # What was learned is the same whichever candidates are named, and is not worked out again for them.
        standing = catalogs.standing_on(self.catalog, day, in_stock, among)
        return self._today._replace(**standing._asdict(), order=closed(self._order(standing)))

    def _order(self, standing: Standing) -> I32:
        found = np.flatnonzero(standing.offer >= 0)
        gain = standing.margin[found] * self._popular[found]
        return found[np.argsort(-gain, kind="stable")].astype(np.int32)

    def _sold_out(self, day: int, in_stock: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        """(offers,) True where none of an offer's products is on hand; empty when no stock is told."""
        if in_stock is None:
            return np.zeros(0, np.bool_)
        gone_day, gone_with, gone = self._gone
        if gone_day != day or gone_with is not in_stock:
            gone = catalogs.sold_out(self.catalog, day, in_stock)
            self._gone = day, in_stock, gone
        return gone

    def _stands(self, day: int, in_stock: NDArray[np.bool_] | None = None) -> Today:
        standing = catalogs.standing_on(self.catalog, day, in_stock)
        learned: dict[str, NDArray[Any]] = {
            "order": self._order(standing),
            "interval": self._interval,
            "popular": self._popular,
            "affinity": self._affinity,
            "tilt": self._tilt,
            "verdict": self.verdict.weights,
            "crowd": self._crowd,
            "needs": relevances.table(self._need, self._crowd),
            "need": self._need,
        }
        return Today(day, *standing, **{name: closed(column) for name, column in learned.items()})

    def decide(
        self,
        day: int,
        rows: ArrayLike | None = None,
        hour: ArrayLike = 10,
        *,
        in_stock: NDArray[np.bool_] | None = None,
        among: Among | None = None,
        channels: int | None = None,
        most: int | None = None,
        cutoff: int | None = None,
        send: bool = True,
    ) -> Decisions:
        """What is said to whom today.

        Parameters
        ----------
        day : today
        rows : (n,) customers, each once; everybody when left out
        hour : hour of day in her own time zone, one or (n,)
        in_stock : (P,) True where a product is on hand; when left out nothing is known to be sold out
        among : candidates to which an offer is limited; options and silence are not. When left out all are
        channels : bits of the channels that may be used; the policy's own when left out
        most : at most so many messages to each; as many as the policy's schedule has when left out
        cutoff : of the budget as it was recorded with her decision, to replay one customer alone
        send : False looks only: nothing is reserved, sent or waited for; the ledger still tells of the look

        Returns
        -------
        Decisions
            ``customer`` is the row in this retailer's record; who has no row meets silence
        """
        who = self._everybody if rows is None else np.atleast_1d(np.asarray(rows, np.int32))
        self.cutoff = contact_rules.NO_CUTOFF
        self.ruled_out[:] = 0
        self.rationed = self.rationed[:0]
        slots = policies.slots(self.policy, day)
        slots = slots if most is None else min(slots, most)
        if not slots or not len(who):
            return decisions_of.silence()
        today = self.today(day, in_stock, among)
        who, view = self._view(day, who, hour, slots, channels)
        if not len(who):
            return decisions_of.silence()
        # The view is the policy's to write in, so what it tells is noted before.
        opened = view.present @ _BIT_OF_SCOPE
        chosen = policies.asked(self.policy, "decide", view, today, Draws(self.key, day))
        if not policies.shipped(self.policy):
            decisions_of.check(
                chosen, self.policy.name, len(who), self.catalog.categories, len(self.catalog.offers.kind)
            )
        if among is None:
            gone = self._sold_out(day, in_stock)
        else:
            gone = catalogs.barred(self.catalog, day, in_stock, among)
        return self._sent(chosen, who, opened, gone, day, cutoff, send)

    def _view(
        self, day: int, who: I32, hour: ArrayLike, slots: int, channels: int | None = None
    ) -> tuple[I32, View]:
        room, reached = contact_rules.room(
            self.record,
            self.consent.bits,
            who,
            day,
            hour,
            self.rules,
            channels=self.policy.channels if channels is None else channels,
            most=slots,
            honours_consent=self.honours_consent,
        )
        if not room.all():
            left = np.flatnonzero(room)
            who, room, reached = who[left], room[left], reached[left]
        if Scope.INFERRED in self.scopes and self._guessed_day[0] > self._guessed_day[1]:
            infer.apply(self.record, self.consent.bits, self.honours_consent, self.guesses, self.ledger, day)
            self._guessed_day[1] = self._guessed_day[0]
        view = open_view(
            self.record,
            self.consent,
            who,
            self.scopes,
            Purpose.PERSONALIZE,
            self.ledger,
            day,
            f"{self.policy.name} {self.policy.version}",
            room=room,
            channels=reached,
            honours_consent=self.honours_consent,
        )
        return who, view

    def _sent(
        self,
        chosen: Decisions,
        who: I32,
        opened: U16,
        gone: NDArray[np.bool_],
        day: int,
        cutoff: int | None,
        send: bool,
    ) -> Decisions:
        m = len(chosen.customer)
        if not m:
            return chosen
        if (chosen.customer[1:] < chosen.customer[:-1]).any():
            # The rules count what one customer gets row by row, so her rows must stand together.
            chosen = decisions_of.take(chosen, np.argsort(chosen.customer, kind="stable"))
        keep = np.empty(m, np.uint8)
        priority = np.empty(m, np.int64)
        opened = opened[chosen.customer]
        chosen = self._on_terms(chosen, day)
        _translate(self.record, chosen, who, day, self.verdict.weights)
        contact_rules.lawful(
            self.record,
            self.consent.bits,
            chosen,
            self.catalog.offers,
            gone,
            day,
            contact_rules.limits(self.rules),
            self.honours_consent,
            self.key,
            contact_rules.NO_CUTOFF if cutoff is None else cutoff,
            keep,
            priority,
        )
        if cutoff is None and self.rules.budget_per_day is not None:
            if self._spent[0] != day:
                self._spent[:] = day, 0
            left = self.rules.budget_per_day - int(self._spent[1])
            self.cutoff = contact_rules.ration(keep, priority, left)
            self._spent[1] += np.count_nonzero(keep == contact_rules.KEPT) if send else 0
        kept = keep == contact_rules.KEPT
        if not kept.all():
            self.ruled_out += np.bincount(keep, minlength=7)
            self.ruled_out[contact_rules.KEPT] = 0
            self.rationed = chosen.customer[keep == contact_rules.RATIONED]
            chosen, opened = decisions_of.take(chosen, kept), opened[kept]
        if send and len(chosen.customer):
            contact_rules.reserve(self.record, chosen, day)
            contact_rules.commit(self.record, chosen, day)
            self.pending.remember(day, chosen, opened)
            self.ledger.contacted(
                day, chosen.customer, chosen.channel, chosen.offer, chosen.category, chosen.reason
            )
        return chosen

    def _on_terms(self, chosen: Decisions, day: int) -> Decisions:
        """The same on the catalog's terms, with columns of its own where the retailer writes."""
        offers, about = self.catalog.offers, chosen.offer >= 0
        category = chosen.category.copy()
        own = offers.category[chosen.offer[about]]
        category[about] = np.where(own >= 0, own, category[about])
        saving = np.zeros(len(about), np.float32)
        saving[about] = offers.saving[chosen.offer[about]]
        last_day = np.full(len(about), day, np.int32)
        last_day[about] = offers.last_day[chosen.offer[about]]
        return chosen._replace(
            category=category,
            saving=saving,
            last_day=last_day,
            number=np.empty_like(chosen.number),
            customer=chosen.customer.copy(),
            predicted=np.empty_like(chosen.predicted),
        )

    def messages(self, decisions: Decisions) -> Messages:
        """All of the decisions that crosses to the consumers."""
        return decisions_of.messages(decisions)

    # ---- hearing ----------------------------------------------------------------------------------

    def react(self, day: int, decisions: Decisions, reactions: NDArray[np.uint16], reason: U8) -> None:
        """What customers did about contacts; their orders hold from the next decision on.

        Parameters
        ----------
        day : of the reaction
        decisions : which contacts, m rows, from :meth:`decide`; any day, any order, again if need be
        reactions : (m,) uint16 bits of Reaction
        reason : (m,) with an unlike Verdict.CREEPY or Verdict.ANNOYING; else 255
        """
        if not len(decisions.number) == len(reactions) == len(reason):
            raise ShapeError(
                f"{len(decisions.number)} decisions, {len(reactions)} reactions, {len(reason)} reasons"
            )
        if not len(reactions):
            return
        before, now = self.pending.react(decisions.number, reactions, reason)
        closed = records.reacted(
            self.record,
            decisions.customer,
            decisions.channel,
            decisions.category,
            before,
            now,
            reactions,
            day + self.rules.unlike_days,
        )
        # It is a change of what she allows also where the channel was shut already.
        np.add.at(self.consent.epoch, decisions.customer[reactions & records.LEAVING != 0], np.uint32(1))
        self._left(day, decisions.customer, closed)

    def _left(self, day: int, rows: I32, closed: U8) -> None:
        """Tell the ledger which channels customers closed; ``closed`` has a bit for each channel."""
        if not closed.any():
            return
        for channel in Channel:
            who = rows[(closed >> channel & 1) != 0]
            if len(who):
                self._channel_changed(day, who, channel, granted=False)

    def purchased(self, day: int, lines: Lines, n: int | None = None) -> None:
        """The first ``n`` settled lines of a day; what she keeps to herself is counted, not written down.

        ``lines.consumer`` are rows of this record; lines of one basket stand together.
        """
        count = len(lines.consumer) if n is None else n
        if not count:
            return
        records.turn(self.totals, day)
        returned, studied = np.zeros(len(self), np.int64), np.zeros(len(self), np.uint8)
        records.purchased(
            self.record,
            self.totals,
            self.consent.bits,
            day,
            lines,
            count,
            self.index,
            self.honours_consent,
            self.broker,
            returned,
            studied,
        )
        rows = np.flatnonzero(studied).astype(np.int32)
        present = np.zeros((len(rows), len(Scope)), np.uint8)
        present[:, Scope.PURCHASES] = 1
        present[:, Scope.DEMOGRAPHICS] = studied[rows] >> 1
        note_use(self.ledger, day, self.consent.bits, rows, present, Purpose.MEASURE, "what all buy")
        self.pending.credit(self.record, self.consent.bits, day, self.honours_consent)
        got = np.flatnonzero(returned)
        if len(got):
            self.ledger.returned(day, got.astype(np.int32), returned[got])

    def consented(
        self, rows: ArrayLike, scopes: ArrayLike, purposes: ArrayLike, granted: ArrayLike, day: int
    ) -> None:
        """Customers change what they allow; of two contradicting changes in one call the stricter wins.

        When one of the changes cannot be, none is made.

        Parameters
        ----------
        rows : (n,) customers
        scopes : one or (n,) Scope
        purposes : one or (n,) bits of Purpose
        granted : one or (n,) True to allow, False to take back
        """
        who = np.atleast_1d(np.asarray(rows, np.int64))
        scope = np.broadcast_to(np.asarray(scopes, np.uint8), who.shape)
        bits = np.broadcast_to(np.asarray(purposes, np.uint8), who.shape)
        for name, column, first, end in (
            ("row", who, 0, len(self)),
            ("scope", scope, 0, len(Scope)),
            ("purposes", bits, 1, 1 << len(Purpose)),
        ):
            wrong = column[(column < first) | (column >= end)]
            if len(wrong):
                raise ConsentError(f"{name} {wrong[0]} is not from {first} to {end - 1}; nothing was changed")
        yes = np.broadcast_to(np.asarray(granted, np.bool_), who.shape)
        for allow in (True, False):
            for which in np.unique(scope[yes == allow]).tolist():
                for named in np.unique(bits[(yes == allow) & (scope == which)]).tolist():
                    mine = who[(yes == allow) & (scope == which) & (bits == named)]
                    change = consents.grant if allow else consents.withdraw
                    change(self.consent, mine, Scope(which), named, day)
        self.ledger.changed(day, who.astype(np.int32), scope.copy(), bits.copy(), yes.copy())

    def reachable(self, rows: ArrayLike, channel: Channel, granted: bool, day: int) -> None:
        """Customers open or close a channel; whether they allow contact at all is told by :meth:`consented`."""
        who = np.atleast_1d(np.asarray(rows, np.int64))
        records.opted(self.record, who, channel, granted)
        np.add.at(self.consent.epoch, who, np.uint32(1))
        self._channel_changed(day, who, channel, granted)

    def _channel_changed(self, day: int, who: NDArray[np.integer], channel: Channel, granted: bool) -> None:
        scope = np.full(len(who), Scope.CONTACT, np.uint8)
        purposes = np.full(len(who), 1 << Purpose.CONTACT, np.uint8)
        yes = np.full(len(who), granted, np.bool_)
        self.ledger.changed(day, who.astype(np.int32), scope, purposes, yes, f"channel={channel.name}")

    def wished(self, rows: ArrayLike, categories: ArrayLike, until_days: ArrayLike, day: int) -> None:
        """Customers say what they want and until when; kept where STATED is granted for something."""
        who = np.atleast_1d(np.asarray(rows, np.int64))
        about = np.broadcast_to(np.asarray(categories, np.int32), who.shape)
        until = np.broadcast_to(np.asarray(until_days, np.int32), who.shape)
        told = self.consent.bits[who, Scope.STATED] != 0
        records.wished(self.record, who[told], about[told].copy(), until[told].copy())

    def learn(self, day: int) -> None:
        """Close the day: settle what is ripe, each outcome once, and renew what all together tell."""
        self.settle(day)
        self.renew(day)

    def settle(self, day: int) -> None:
        """Take in the outcomes that are ripe on ``day``, of the customers who are seated."""
        for block in self.pending.due(day):
            bits, context = self.consent.bits, "outcome of a contact"
            kept, bought, present = settle(bits, block, self.honours_consent)
            note_use(self.ledger, day, bits, block.row[kept], present[kept], Purpose.MEASURE, context)
            if not kept.any():
                continue
            verdicts = measured(block.reactions, block.reason)
            columns = (
                block.features,
                block.propensity,
                block.category,
                rewards(block, bought),
                verdicts,
                bought,
            )
            outcomes = Outcomes._make(column[kept] for column in columns)
            self.verdict.learn(outcomes.features, outcomes.verdict)
            policies.asked(self.policy, "learn", outcomes)

    def renew(self, day: int) -> None:
        """Close the day once everything was settled: tomorrow's weights, rates and popularity."""
        self.verdict.step()
        records.turn(self.totals, day + 1)
        self._crowd[:] = relevances.crowd(self.totals)
        self._interval[:] = (self.totals.interval_days + 20 * USUAL_INTERVAL_DAYS) / (
            self.totals.intervals + 20
        )
        self._popular[:] = (self.totals.lines + 200 * USUAL_POPULARITY) / (self.totals.visits[0] + 200)
        if Scope.DEMOGRAPHICS in self.scopes and day % AFFINITY_EVERY_DAYS == 0:
            _affinities(self.totals.cells, self._affinity)
        if Scope.INFERRED in self.scopes and day % infer.EVERY_DAYS == 0:
            infer.train(self.record, self.consent.bits, self.honours_consent, self.guesses, self.ledger, day)
            self._tilt[:] = infer.tilts(self.guesses)
            self._guessed_day[0] = day + 1
        self._today = None

    # ---- standing still ---------------------------------------------------------------------------

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Copies of what was learned from everybody.

        With it one customer alone is decided as she was in the crowd.
        """
        out = {f"totals.{name}": column.copy() for name, column in self.totals._asdict().items()}
        out |= {f"guesses.{name}": column.copy() for name, column in self.guesses._asdict().items()}
        out |= {f"verdict.{name}": column for name, column in self.verdict.state().items()}
        out |= {f"policy.{name}": column for name, column in policies.asked(self.policy, "state").items()}
        for name in _LEARNED:
            out[name] = getattr(self, name).copy()
        return out

    def in_common(self) -> dict[str, NDArray[Any]]:
        """The part of :meth:`snapshot` that today's decisions read; views, not copies.

        Restored each day, it lets one customer alone be decided as she was in the crowd.
        """
        out: dict[str, NDArray[Any]] = {
            "_interval": self._interval,
            "_popular": self._popular,
            "_crowd": self._crowd,
            "_guessed_day": self._guessed_day,
        }
        if Scope.DEMOGRAPHICS in self.scopes:
            out["_affinity"] = self._affinity
        if Scope.INFERRED in self.scopes:
            out["_tilt"] = self._tilt
            out |= {f"guesses.{name}": column for name, column in self.guesses._asdict().items()}
        out |= {f"verdict.{name}": column for name, column in self.verdict.state().items()}
        return out | {
            f"policy.{name}": column for name, column in policies.asked(self.policy, "state").items()
        }

    def restore(self, snapshot: dict[str, NDArray[Any]]) -> None:
        """Go back to what was learned by then, as far as the snapshot tells; the record stays."""
        applied = self._guessed_day[1]
        for group, columns in (("totals", self.totals._asdict()), ("guesses", self.guesses._asdict())):
            for name, column in columns.items():
                if f"{group}.{name}" in snapshot:
                    column[...] = snapshot[f"{group}.{name}"]
        self.verdict.restore(_part(snapshot, "verdict"))
        policies.asked(self.policy, "restore", _part(snapshot, "policy"))
        for name in _LEARNED:
            if name in snapshot:
                getattr(self, name)[...] = snapshot[name]
        self._guessed_day[1] = applied
        self._today = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The whole state by name, for hashing and comparing."""
        out: dict[str, NDArray[Any]] = {**self.snapshot(), "spent": self._spent}
        for prefix, columns in (
            ("record", self.record._asdict()),
            ("consent", self.consent._asdict()),
            ("ledger", self.ledger.arrays()),
            ("pending", self.pending.arrays()),
        ):
            out |= {f"{prefix}.{name}": column for name, column in columns.items()}
        return out

    def subset(self, rows: ArrayLike) -> Retailer:
        """The same retailer with these customers only, sharing nothing; its rows are 0, 1, 2 ... anew."""
        who = np.atleast_1d(np.asarray(rows, np.int64))
        other = Retailer(
            copies.deepcopy(self.policy),
            self.catalog,
            records.subset(self.record, who),
            consents.subset(self.consent, who),
            self.house_rules,
            self.ledger.subset(who),
            self.key.copy(),
            self.honours_consent,
            index=self.index,
            broker=self.broker,
        )
        other._need = self._need.copy()
        other.restore(self.snapshot())
        other._guessed_day[:] = self._guessed_day
        other._spent[:] = self._spent
        place = np.full(len(self), -1, np.int64)
        place[who] = np.arange(len(who))
        for block in self.pending.blocks:
            mine = np.flatnonzero(place[block.row] >= 0)
            if len(mine):
                columns = {
                    name: value[mine] for name, value in vars(block).items() if isinstance(value, np.ndarray)
                }
                columns["row"] = place[columns["row"]].astype(np.int32)
                other.pending.blocks.append(type(block)(day=block.day, **columns))
        return other

    def copy(self) -> Retailer:
        """The same again, sharing nothing but the catalog."""
        return self.subset(np.arange(len(self)))


_BIT_OF_SCOPE = 1 << np.arange(len(Scope), dtype=np.uint16)
_LEARNED = ("_interval", "_popular", "_crowd", "_affinity", "_tilt", "_guessed_day")


def _part(snapshot: dict[str, NDArray[Any]], group: str) -> dict[str, NDArray[Any]]:
    return {
        name.removeprefix(f"{group}."): column
        for name, column in snapshot.items()
        if name.startswith(f"{group}.")
    }


# ---- kernels --------------------------------------------------------------------------------------


@njit(cache=True, nogil=True, error_model="numpy")
def _translate(record, decisions, row, day, weights):
    """From rows of the view to customers; number each decision and predict its verdict."""
    previous, place = -1, 0
    for m in range(len(decisions.customer)):
        k = decisions.customer[m]
        # After what she was told today already, when she is decided about several times a day.
        place = place + 1 if k == previous else contacts_of(record.ring, record.ring_day, row[k], day)[0]
        previous = k
        decisions.number[m] = number_of(day, record.customer[row[k]], place)
        decisions.customer[m] = row[k]
        a, b, c, d = probabilities(decisions.features[m], weights)
        decisions.predicted[m, 0] = a
        decisions.predicted[m, 1] = b
        decisions.predicted[m, 2] = c
        decisions.predicted[m, 3] = d


@njit(cache=True, nogil=True, error_model="numpy")
def _affinities(cells, out):
    """Log of a cell's share of each category over everybody's, shrunk by 200 lines of the crowd."""
    count, categories = cells.shape
    total = 0.0
    everybody = np.zeros(categories)
    for c in range(categories):
        for cell in range(count):
            everybody[c] += cells[cell, c]
        total += everybody[c]
    for cell in range(count):
        lines = 0.0
        for c in range(categories):
            lines += cells[cell, c]
        for c in range(categories):
            usual = (everybody[c] + 0.5) / (total + 0.5 * categories)
            out[cell, c] = log(((cells[cell, c] + 200.0 * usual) / (lines + 200.0)) / usual)
