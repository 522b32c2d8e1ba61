// One customer's phone: the chat with the business, or the list of chats when the customer has left it.
// What has arrived counts as read only while the chat is open and the page can be seen.

import { openIdentityMenu, openMessageMenu } from "./acts.js";
import { arrived, bubble, look, mine, shortened, showStatus } from "./bubbles.js";
import { Composer } from "./composer.js";
import { avatar, button, clockTime, dayName, icon, make, phoneNumber, tick } from "./elements.js";
import * as server from "./server.js";
import { openSheet } from "./sheet.js";

const TYPING_MILLISECONDS = 25000;
const NEAR_THE_END = 80;
const HERE = { latitude: 51.5007, longitude: -0.1246, name: "Where I am", address: "1 Example Street" };

export class Phone {
  constructor(customer, business) {
    this.number = customer.phone;
    this.name = customer.name;
    this.businessName = business.name;
    this.messages = new Map();
    this.nodes = new Map();
    this.node = make("section", "phone");
    this.node.setAttribute("aria-label", `Phone of ${customer.name}`);
    this.node.dataset.phone = customer.phone;
    this.frame = make("div", "frame");
    this.log = make("div", "log");
    this.log.setAttribute("role", "log");
    this.log.setAttribute("aria-label", "Messages");
    this.log.tabIndex = 0;
    this.dots = make("div", "dots");
    this.dots.setAttribute("aria-hidden", "true");
    this.dots.append(make("i"), make("i"), make("i"));
    this.dots.hidden = true;
    this.composer = new Composer(this);
    const owner = make("header", "owner");
    const words = make("div", "owner-words");
    this.shown = make("p");
    words.append(make("h2", "", customer.name), this.shown);
    const more = button("owner-more", `What ${customer.name} shows`, "more");
    more.setAttribute("aria-haspopup", "dialog");
    more.addEventListener("click", () => openIdentityMenu(this));
    owner.append(avatar(customer.name), words, more);
    this.identify(customer);
    this.frame.append(this.chatScreen(), this.listScreen());
    this.node.append(owner, this.frame);
    this.setOpen(sessionStorage.getItem(`left:${this.number}`) === null);
    for (const message of customer.messages) this.put(message);
    this.scrollToEnd();
  }

  chatScreen() {
    this.chat = make("div", "screen chat");
    const head = make("header", "chat-head");
    const back = button("back", "Back to chats", "back");
    back.addEventListener("click", () => this.setOpen(false));
    const words = make("div", "chat-words");
    this.presence = make("p", "presence", "Business account");
    this.presence.setAttribute("role", "status");
    words.append(make("h3", "", this.businessName), this.presence);
    head.append(back, businessAvatar(), words);
    this.jump = button("jump", "Go to the newest message", "down");
    this.jump.hidden = true;
    this.jump.addEventListener("click", () => this.scrollToEnd(true));
    this.following = true;
    this.log.addEventListener("scroll", () => {
      this.following = this.nearTheEnd();
      this.jump.hidden = this.following;
    });
    // A quote or the emoji take room from the log: whoever was reading its end still is.
    new ResizeObserver(() => this.following && this.scrollToEnd()).observe(this.log);
    const middle = make("div", "middle");
    middle.append(this.log, this.jump);
    const notice = make("p", "notice");
    notice.append(icon("lock"), "This chat stays on your machine. It behaves like WhatsApp, and never reaches it.");
    this.log.append(notice, this.dots);
    this.chat.append(head, middle, this.composer.node);
    return this.chat;
  }

  listScreen() {
    this.list = make("div", "screen list");
    const head = make("header", "list-head");
    head.append(make("h3", "", "Chats"));
    this.row = make("button", "list-row");
    this.row.type = "button";
    this.row.addEventListener("click", () => this.setOpen(true));
    this.list.append(head, this.row);
    return this.list;
  }

  put(message) {
    this.messages.set(message.wamid, message);
    if (!mine(message) && arrived(message)) this.showTyping(false);
    const known = this.nodes.get(message.wamid);
    if (known && known.dataset.look !== look(message)) this.replace(known, message);
    else if (known) showStatus(known, message.status);
    else if (arrived(message)) this.add(message);
    this.showRow();
    this.readWhatArrived();
  }

  add(message) {
    const follow = this.following || mine(message);
    const node = bubble(message, this);
    const later = [...this.nodes.entries()].find(([wamid]) => this.messages.get(wamid).at > message.at);
    this.nodes.set(message.wamid, node);
    this.log.insertBefore(node, later ? later[1] : this.dots);
    this.arrange();
    if (follow) this.scrollToEnd();
    for (const image of node.querySelectorAll("img")) {
      image.addEventListener("load", () => follow && this.scrollToEnd(), { once: true });
    }
  }

  replace(known, message) {
    const node = bubble(message, this);
    known.replaceWith(node);
    this.nodes.set(message.wamid, node);
    this.arrange();
  }

  // They are the same with another number, or show something else of themselves.
  identify(customer) {
    this.number = customer.phone;
    this.customer = customer;
    this.node.dataset.phone = customer.phone;
    const number = phoneNumber(customer.phone);
    this.shown.textContent = customer.shows === "user_id" ? "User id alone, number hidden" : number;
    this.shown.title = `${number}, ${customer.user_id}`;
  }

  arrange() {
    for (const chip of this.log.querySelectorAll(".day")) chip.remove();
    let day = "";
    let by = "";
    for (const node of [...this.log.querySelectorAll("[data-wamid]")]) {
      const message = this.messages.get(node.dataset.wamid);
      const today = dayName(message.at);
      if (today !== day) node.before(make("p", "day", today));
      node.classList.toggle("first", today !== day || by !== message.by);
      day = today;
      by = message.by;
    }
  }

  find(wamid) {
    return this.messages.get(wamid);
  }

  quoteMessage(message) {
    this.composer.answerTo(message);
  }

  showMessage(wamid) {
    const node = this.nodes.get(wamid);
    if (!node) return;
    node.scrollIntoView({ block: "center", behavior: "smooth" });
    node.classList.remove("flash");
    requestAnimationFrame(() => node.classList.add("flash"));
  }

  openSheet(message) {
    openSheet(this.chat, message, (option) => this.choose(message, option));
  }

  choose(message, option) {
    return this.attempt(() => server.sendOption(this.number, message.wamid, option.id));
  }

  sendPlace(message = null) {
    return this.attempt(() => server.sendPlace(this.number, HERE, message?.wamid ?? ""));
  }

  sendCard(message = null) {
    return this.attempt(() => server.sendCard(this.number, {}, message?.wamid ?? ""));
  }

  sendSample(...sample) {
    return this.attempt(() => server.sendSample(this.number, ...sample, ""));
  }

  openMenu(message) {
    openMessageMenu(this, message);
  }

  async attempt(act) {
    try {
      await act();
      this.composer.complaint.textContent = "";
    } catch (error) {
      this.composer.complaint.textContent = error.message;
    }
  }

  setOpen(open) {
    this.open = open;
    this.chat.hidden = !open;
    this.list.hidden = open;
    if (open) sessionStorage.removeItem(`left:${this.number}`);
    else sessionStorage.setItem(`left:${this.number}`, "yes");
    this.showRow();
    if (!open) return;
    this.scrollToEnd();
    this.readWhatArrived();
  }

  readWhatArrived() {
    if (!this.open || document.visibilityState !== "visible") return;
    if (this.unread().length && !this.reading) {
      this.reading = true;
      server.openChat(this.number).catch(() => {}).finally(() => {
        this.reading = false;
      });
    }
  }

  unread() {
    return [...this.messages.values()].filter((message) => !mine(message) && message.status === "delivered");
  }

  showTyping(typing) {
    clearTimeout(this.typingTimer);
    this.presence.textContent = typing ? "typing…" : "Business account";
    this.presence.classList.toggle("typing", typing);
    this.dots.hidden = !typing;
    if (typing && this.following) this.scrollToEnd();
    if (typing) this.typingTimer = setTimeout(() => this.showTyping(false), TYPING_MILLISECONDS);
  }

  showRow() {
    // Nothing is said twice: while the chat is open its row in the list is empty.
    if (this.open) {
      this.row.replaceChildren();
      return;
    }
    const seen = [...this.messages.values()].filter((message) => arrived(message) && message.status !== "failed");
    const last = seen.sort((one, other) => one.at - other.at).at(-1);
    const unread = this.unread().length;
    const words = make("span", "list-words");
    const line = make("span", "list-line");
    line.append(make("span", "list-name", this.businessName));
    if (last) line.append(make("time", unread ? "fresh" : "", clockTime(last.at)));
    const second = make("span", "list-line");
    const preview = last ? shortened(last, "list-preview") : make("span", "list-preview", "Tap to start chatting");
    if (last && mine(last)) second.append(tick(last.status));
    second.append(preview);
    if (unread) second.append(make("span", "badge", String(unread)));
    words.append(line, second);
    this.row.setAttribute("aria-label", `Open chat with ${this.businessName}${unread ? `, ${unread} unread` : ""}`);
    this.row.replaceChildren(businessAvatar(), words);
  }

  nearTheEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR_THE_END;
  }

  scrollToEnd(smooth = false) {
    this.log.scrollTo({ top: this.log.scrollHeight, behavior: smooth ? "smooth" : "instant" });
  }
}

function businessAvatar() {
  const node = make("span", "avatar business");
  node.setAttribute("aria-hidden", "true");
  node.append(icon("check"));
  return node;
}
