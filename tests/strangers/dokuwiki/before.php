<?php
// Runs before every script of DokuWiki (auto_prepend_file): configuration and pages stand in the test's folder, the
// software is Debian's, as installed.
define('DOKU_CONF', getenv('WIKI_FOLDER') . '/conf/');
define('DOKU_FARM', false);
