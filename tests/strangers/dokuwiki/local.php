<?php
$conf['title'] = 'さくら会 手順書';
$conf['lang'] = 'en';
$conf['savedir'] = getenv('WIKI_FOLDER') . '/data';
$conf['useacl'] = 1;
$conf['superuser'] = '@admin';
$conf['disableactions'] = 'register,resendpwd';
// Nothing of the machine's network is asked.
$conf['dnslookups'] = 0;
$conf['license'] = '0';
