// The portal works without this file; it only saves the customer from reloading by hand.
// Written for old Android web views: plain ES5, nothing that came later.
(function () {
  "use strict";

  // The PIN, the router and the page's next look must fit into two seconds together.
  var EAGER_MS = 1000;
  var CONNECTING_MS = 500;
  var STEADY_MS = 5000;
  var IDLE_MS = 15000;
  var EAGER_FOR_MS = 60000;
  var ANSWER_WITHIN_MS = 8000;
  var SILENT_AFTER = 3;
  var SUBMIT_AGAIN_AFTER_MS = 20000;
  var UNIT_SECONDS = [86400, 3600, 60, 1];

  function each(selector, visit) {
    var found = document.querySelectorAll(selector);
    for (var i = 0; i < found.length; i += 1) {
      visit(found[i]);
    }
  }

  // Following the purchase: ask where it stands, load the page anew when it has moved on.
  function follow(element) {
    var url = element.getAttribute("data-poll");
    var step = element.getAttribute("data-step");
    var startedAt = Date.now();
    var failures = 0;
    var stale = false;
    var request = null;
    var timer = null;

    function pause() {
      if (step === "online" || step === "shut" || step === "off") {
        return IDLE_MS;
      }
      if (Date.now() - startedAt >= EAGER_FOR_MS) {
        return STEADY_MS;
      }
      return step === "connecting" ? CONNECTING_MS : EAGER_MS;
    }

    function showSilence(silent) {
      each("[data-silent]", function (note) {
        note.hidden = !silent;
      });
    }

    function later() {
      clearTimeout(timer);
      timer = document.hidden ? null : setTimeout(ask, pause());
    }

    function answered(told) {
      failures = told ? 0 : failures + 1;
      showSilence(failures >= SILENT_AFTER);
      if (told && (stale || told !== step)) {
        location.replace(location.href.split("#")[0]);
        return;
      }
      later();
    }

    function stepIn(text) {
      try {
        return JSON.parse(text).step || "";
      } catch (unreadable) {
        return "";
      }
    }

    function ask() {
      clearTimeout(timer);
      if (request) {
        request.onloadend = null;
        request.abort();
      }
      var mine = new XMLHttpRequest();
      request = mine;
      mine.onloadend = function () {
        request = null;
        // A refusal is news, too; only where the portal itself is at fault there is none.
        answered(mine.status >= 200 && mine.status < 500 ? stepIn(mine.responseText) : "");
      };
      mine.open("GET", url);
      mine.timeout = ANSWER_WITHIN_MS;
      mine.setRequestHeader("Accept", "application/json");
      mine.send();
    }

    function askIfSeen() {
      if (document.hidden) {
        clearTimeout(timer);
      } else {
        ask();
      }
    }

    document.addEventListener("visibilitychange", askIfSeen);
    window.addEventListener("online", askIfSeen);
    window.addEventListener("pageshow", function (event) {
      if (event.persisted) {
        ask();
      }
    });
    later();
    // What the page told may be over although the step is the same: another package may have begun.
    return function (over) {
      stale = stale || over;
      askIfSeen();
    };
  }

  // Counting down, in the words the page brought along: "one|many" for days, hours, minutes, seconds.
  function inWords(seconds, words) {
    for (var i = 0; i < UNIT_SECONDS.length; i += 1) {
      if (seconds >= UNIT_SECONDS[i] || UNIT_SECONDS[i] === 1) {
        return amount(seconds, i, words) + rest(seconds, i, words);
      }
    }
    return "";
  }

  function amount(seconds, unit, words) {
    var count = Math.floor(seconds / UNIT_SECONDS[unit]);
    return words[2 * unit + (count === 1 ? 0 : 1)].replace("{count}", String(count));
  }

  function rest(seconds, unit, words) {
    var left = seconds % UNIT_SECONDS[unit];
    var next = unit + 1;
    return next < UNIT_SECONDS.length && left >= UNIT_SECONDS[next] ? " " + amount(left, next, words) : "";
  }

  function countDown(element, whenOver) {
    var endsAt = Date.now() + 1000 * Number(element.getAttribute("data-seconds-left"));
    var words = element.getAttribute("data-units").split("|");
    var ticking = setInterval(show, 1000);

    function show() {
      var left = Math.max(0, Math.round((endsAt - Date.now()) / 1000));
      element.textContent = inWords(left, words);
      if (left === 0) {
        clearInterval(ticking);
        whenOver(element);
      }
    }
  }

  // A form is sent once; what the server does with a second one is safe, but it would frighten the customer.
  function sendOnce(form) {
    var buttons = form.querySelectorAll("button");
    var pressed = buttons[0];
    var labels = [];
    var sent = false;

    function press(event) {
      pressed = event.currentTarget;
    }

    function ready() {
      sent = false;
      for (var i = 0; i < buttons.length; i += 1) {
        buttons[i].disabled = false;
        buttons[i].textContent = labels[i];
      }
    }

    function busy() {
      if (!sent) {
        return;
      }
      for (var i = 0; i < buttons.length; i += 1) {
        buttons[i].disabled = true;
      }
      pressed.textContent = form.getAttribute("data-busy") || pressed.textContent;
    }

    for (var i = 0; i < buttons.length; i += 1) {
      labels.push(buttons[i].textContent);
      buttons[i].addEventListener("click", press);
    }
    form.addEventListener("submit", function (event) {
      if (sent) {
        event.preventDefault();
        return;
      }
      sent = true;
      // Only afterwards: a button that is disabled by now would not be sent along.
      setTimeout(busy, 0);
      setTimeout(ready, SUBMIT_AGAIN_AFTER_MS);
    });
    window.addEventListener("pageshow", ready);
  }

  // What was bought in this browser, for a phone that joins with a new address: only its page's path, no cookie.
  function kept(path) {
    try {
      if (path) {
        localStorage.setItem("bought", path);
      }
      return localStorage.getItem("bought") || "";
    } catch (forbidden) {
      return "";
    }
  }

  each("[data-keep]", function (element) {
    kept(element.getAttribute("data-keep"));
  });
  each("[data-kept]", function (link) {
    var path = kept("");
    if (/^\/[pkw]\/[0-9a-f]{32}$/.test(path)) {
      link.href = path + "?d=" + encodeURIComponent(link.getAttribute("data-kept")) + "&lang=" + document.documentElement.lang;
      link.hidden = false;
    }
  });
  each("[data-after]", function (note) {
    setTimeout(function () {
      note.hidden = false;
    }, 1000 * Number(note.getAttribute("data-after")));
  });
  each("[data-print]", function (button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      window.print();
    });
  });

  var askNow = function () {};
  each("[data-poll]", function (element) {
    askNow = follow(element);
  });
  each("[data-seconds-left]", function (element) {
    countDown(element, function () {
      var over = element.getAttribute("data-over");
      if (over) {
        element.parentNode.textContent = over;
      }
      askNow(!over);
    });
  });
  each("form[data-once]", sendOnce);
})();
